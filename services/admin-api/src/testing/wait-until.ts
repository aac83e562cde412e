import {performance} from 'node:perf_hooks';

/** Waits until `look` no longer gives a reason to wait. @throws with the last reason at the deadline. */
export const waitUntil = async (
  look: () => string | undefined | Promise<string | undefined>,
  deadlineMs = 60_000,
): Promise<void> => {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const reason = await look();
    if (reason === undefined) return;
    if (performance.now() > deadline) throw new Error(`still waiting after ${deadlineMs} ms: ${reason}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

import {setTimeout as pause} from 'node:timers/promises';

/**
 * Asks again and again until `probe` returns something other than undefined, and returns that.
 * After `timeoutMs` (default 60 s) it fails with what the last attempt saw: a probe says so by throwing.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  options: {readonly timeoutMs?: number; readonly everyMs?: number} = {},
): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const deadline = performance.now() + timeoutMs;
  let seen: unknown = 'nothing yet';
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `waited ${timeoutMs} ms for: ${what}; last seen: ${seen instanceof Error ? seen.message : String(seen)}`,
      );
    }
    await pause(options.everyMs ?? 250);
  }
}

import {setTimeout as delay} from 'node:timers/promises';

/**
 * Waits until `look` returns something else than undefined.
 *
 * @throws Error that names `what` after `deadlineMs`; the signal's reason when aborted.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  {
    deadlineMs,
    everyMs = 100,
    signal,
  }: {readonly deadlineMs: number; readonly everyMs?: number; readonly signal?: AbortSignal | undefined},
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > end) throw new Error(`waited ${Math.round(deadlineMs / 1000)} s in vain for ${what}`);
    await delay(everyMs);
  }
}

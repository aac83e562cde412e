import {performance} from 'node:perf_hooks';
import {setTimeout as pause} from 'node:timers/promises';

/** Less than a test has, so that it is this that says what was waited for. */
const TIMEOUT_MS = 50_000;

/**
 * Looks every few milliseconds until what is seen is enough: true, or what `isEnough` says, and returns that.
 *
 * @throws Error after `timeoutMs` that says what was waited for and what was seen last
 */
export const until = async <T>(
  what: string,
  look: () => T | Promise<T>,
  isEnough: (seen: T) => boolean = Boolean,
  timeoutMs = TIMEOUT_MS,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (isEnough(seen)) return seen;
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms for ${what}; last seen: ${JSON.stringify(seen)}`);
    }
    await pause(5);
  }
};

import {performance} from 'node:perf_hooks';

/** Time, passed in so that laws about time can be tested without waiting. */
export interface Clock {
  /** Wall clock, for what people read. */
  now(): Date;
  /** Milliseconds that never go backwards and that run on while the process is stopped (SIGSTOP): for deadlines. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`; the result cancels it. */
  schedule(delayMs: number, run: () => void): () => void;
}

/** setTimeout fires at once on delays beyond 2^31 - 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or early, without an error, when the signal aborts: callers check the signal. */
export const pause = (clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.schedule(delayMs, finish);
    signal.addEventListener('abort', finish, {once: true});
  });

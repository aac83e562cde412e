import {AppError} from '../errors/app-error.ts';

export interface LoopTimeoutOptions {
  readonly ms: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Later than this, a timer says more about this process than about whom it waits for. */
const LATE_MS = 10;
/** A loop that is never on time must not wait for ever. */
const MAX_ROUNDS = 5;

/**
 * The outcome of `work`, or a rejection after `ms` in which the event loop was on time. Timers run before sockets are read, so in a loop that
 * lags an ordinary time-out fires although the answer has long arrived; and the question may have left late as well. So what
 * has arrived is read first, and time for which the loop was held up does not count.
 */
export const withLoopTimeout = <T>(work: Promise<T>, {ms, now}: LoopTimeoutOptions): Promise<T> =>
  new Promise((resolve, reject) => {
    let rounds = 0;
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const due = now() + ms;
      rounds += 1;
      timer = setTimeout(() => {
        if (now() > due + LATE_MS && rounds < MAX_ROUNDS) wait();
        // Sockets are read between timers and immediates.
        else setImmediate(() => reject(new AppError('unavailable', `no answer within ${ms} ms`)));
      }, ms);
    };
    wait();
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

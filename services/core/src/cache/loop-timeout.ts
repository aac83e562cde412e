import {AppError} from '../errors/app-error.ts';
import {type Timers} from '../lifecycle/timers.ts';

export interface LoopTimeoutOptions {
  readonly ms: number;
  readonly timers: Pick<Timers, 'now' | 'after' | 'soon'>;
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
export const withLoopTimeout = <T>(work: Promise<T>, {ms, timers}: LoopTimeoutOptions): Promise<T> =>
  new Promise((resolve, reject) => {
    let rounds = 0;
    let cancel: () => void;
    const wait = (): void => {
      const due = timers.now() + ms;
      rounds += 1;
      cancel = timers.after(ms, () => {
        if (timers.now() > due + LATE_MS && rounds < MAX_ROUNDS) wait();
        // Sockets are read between timers and immediates.
        else timers.soon(() => reject(new AppError('unavailable', `no answer within ${ms} ms`)));
      });
    };
    wait();
    work.then(resolve, reject).finally(() => cancel());
  });

import {sleep} from './sleep.ts';

/** How a process waits. What is on the way of a batch waits by these alone, so that a simulation decides when time passes. */
export interface Timers {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Calls back once after `ms`, and does not keep the process alive until then. @returns what takes it back */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Calls back after what is ready in this turn of the event loop, sockets included. */
  readonly soon: (callback: () => void) => void;
  /** Aborts after `ms`. */
  readonly deadline: (ms: number) => AbortSignal;
  /** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
  soon: (callback) => void setImmediate(callback),
  deadline: (ms) => AbortSignal.timeout(ms),
  sleep,
};

/** Decides whether a dependency is worth asking, so that one that hangs costs its time-out a few times a second and no more. */
export interface Breaker {
  /** False while open; after the pause one caller is let through to try. */
  allows(): boolean;
  succeeded(): void;
  failed(): void;
}

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly threshold: number;
  readonly pauseMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export const createBreaker = ({threshold, pauseMs, now}: BreakerOptions): Breaker => {
  let failures = 0;
  let closedUntil = 0;
  return {
    allows() {
      if (failures < threshold) return true;
      if (now() < closedUntil) return false;
      // This caller is the trial; the others wait for its outcome or the next pause.
      closedUntil = now() + pauseMs;
      return true;
    },
    succeeded() {
      failures = 0;
    },
    failed() {
      failures += 1;
      if (failures >= threshold) closedUntil = now() + pauseMs;
    },
  };
};

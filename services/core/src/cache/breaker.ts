/** Decides whether a dependency is worth asking, so that one that hangs costs its time-out a few times a second and no more. */
export interface Breaker {
  /** Undefined while open; after the pause one caller is let through to try. */
  begin(): BreakerUse | undefined;
}

/** One question to the dependency. Tell one of both when it has ended. */
export interface BreakerUse {
  succeeded(): void;
  failed(): void;
}

export interface BreakerOptions {
  /** Failures one after the other, without a success between them, that open it. */
  readonly threshold: number;
  readonly pauseMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * What was under way together and failed is one failure: all connections that break at the same moment say no more than one of them. So a failure counts
 * only if its use began after the last success and after the last failure that counted.
 */
export const createBreaker = ({threshold, pauseMs, now}: BreakerOptions): Breaker => {
  let failures = 0;
  let closedUntil = 0;
  /** Grows with each outcome that counts. */
  let outcomes = 0;
  return {
    begin() {
      if (failures >= threshold) {
        if (now() < closedUntil) return undefined;
        // This caller is the trial; the others wait for its outcome or the next pause.
        closedUntil = now() + pauseMs;
      }
      const began = outcomes;
      return {
        succeeded() {
          outcomes += 1;
          failures = 0;
        },
        failed() {
          if (began !== outcomes) return;
          outcomes += 1;
          failures += 1;
          if (failures >= threshold) closedUntil = now() + pauseMs;
        },
      };
    },
  };
};

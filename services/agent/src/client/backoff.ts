/** How long a device waits after a failure, so that a fleet that failed together does not come back together, and for its quota. */
import type {Policy} from './wire.ts';

/** "Tries at least once a day whatever happens." */
export const LONGEST_WAIT_MS = 24 * 3600 * 1000;

export interface Failure {
  /** Consecutive failures, this one included: at least 1. */
  readonly failures: number;
  /** What the server asked for in Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined;
}

/**
 * Milliseconds to wait. The first failure after a success waits a uniform share of `edgeJitter`: an outage ends for everybody in the same minute, and this is
 * what spreads them. Then full jitter (Brooker, "Exponential Backoff And Jitter"): uniform in 0..min(cap, base * 2^n). Never earlier than Retry-After.
 *
 * @param random uniform in [0, 1)
 */
export const waitAfterFailureMs = (failure: Failure, backoff: Policy['backoff'], random: number): number => {
  const ceilingS =
    failure.failures <= 1
      ? backoff.edgeJitter
      : Math.min(backoff.cap, backoff.base * 2 ** Math.min(failure.failures - 2, 30));
  const waitMs = Math.max(random * ceilingS * 1000, failure.retryAfterMs ?? 0);
  return Math.min(waitMs, LONGEST_WAIT_MS);
};

/** Of Retry-After: so little more that nobody is at the very edge of his quota again, whose clock runs a little fast for instance. */
const QUOTA_JITTER = 0.1;

/** Milliseconds to wait for the device's own quota. Nobody else waits for it, and the region has spread its Retry-After already. */
export const waitForQuotaMs = (retryAfterMs: number, random: number): number =>
  Math.min(retryAfterMs * (1 + QUOTA_JITTER * random), LONGEST_WAIT_MS);

import {AppError} from '@pisync/core/errors/app-error';

export interface RateLimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Until the budget is full again. */
  readonly resetSeconds: number;
}

/** A budget per key that refills steadily (token bucket): short bursts pass, a loop does not. Counts in this process only. */
export interface RateLimiter {
  /** Takes one call. @throws AppError `rate-limited` with the time to wait when none is left. */
  take(key: string): RateLimitState;
}

export interface RateLimitOptions {
  readonly callsPerMinute: number;
  readonly now: () => number;
  /** Keys remembered at most; the one unused for longest is forgotten, which only gives it a full budget. */
  readonly maxKeys: number;
}

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

const MINUTE_MS = 60_000;

export const createRateLimiter = ({callsPerMinute, now, maxKeys}: RateLimitOptions): RateLimiter => {
  const buckets = new Map<string, Bucket>();
  const msPerCall = MINUTE_MS / callsPerMinute;

  const refilled = (key: string): Bucket => {
    const atMs = now();
    const bucket = buckets.get(key) ?? {left: callsPerMinute, atMs};
    return {left: Math.min(callsPerMinute, bucket.left + (atMs - bucket.atMs) / msPerCall), atMs};
  };

  const refuseIfEmpty = ({left}: Bucket): void => {
    if (left >= 1) return;
    const waitSeconds = Math.max(1, Math.ceil(((1 - left) * msPerCall) / 1000));
    throw new AppError('rate-limited', `More than ${callsPerMinute} calls a minute; come back in ${waitSeconds} s.`, {
      retryAfterSeconds: waitSeconds,
    });
  };

  return {
    take(key) {
      const bucket = refilled(key);
      refuseIfEmpty(bucket);
      const left = bucket.left - 1;
      buckets.delete(key);
      buckets.set(key, {left, atMs: bucket.atMs});
      const oldest = buckets.keys().next();
      if (buckets.size > maxKeys && oldest.done !== true) buckets.delete(oldest.value);
      return {
        limit: callsPerMinute,
        remaining: Math.floor(left),
        resetSeconds: Math.ceil(((callsPerMinute - left) * msPerCall) / 1000),
      };
    },
  };
};

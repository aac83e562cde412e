export interface RateLimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Until the budget is full again. */
  readonly resetSeconds: number;
  /** How long to wait before this call; 0 where it may be made. */
  readonly waitSeconds: number;
}

/** A budget per key that refills steadily (token bucket): short bursts pass, a loop does not. Counts in this process only. */
export interface RateLimiter {
  /** Takes one call, if one is left. */
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

  return {
    take(key) {
      const bucket = refilled(key);
      const isLeft = bucket.left >= 1;
      const left = isLeft ? bucket.left - 1 : bucket.left;
      buckets.delete(key);
      buckets.set(key, {left, atMs: bucket.atMs});
      const oldest = buckets.keys().next();
      if (buckets.size > maxKeys && oldest.done !== true) buckets.delete(oldest.value);
      return {
        limit: callsPerMinute,
        remaining: Math.floor(left),
        resetSeconds: Math.ceil(((callsPerMinute - left) * msPerCall) / 1000),
        waitSeconds: isLeft ? 0 : Math.max(1, Math.ceil(((1 - left) * msPerCall) / 1000)),
      };
    },
  };
};

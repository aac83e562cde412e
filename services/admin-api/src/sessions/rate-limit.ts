import {cacheKey} from '@pisync/core/cache/cache-keys';
import {AppError} from '@pisync/core/errors/app-error';
import {z} from 'zod';
import type {CacheAccess} from '../caching/read-through.ts';
import type {Principal} from './principal.ts';

export interface RateLimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Until the budget is full again. */
  readonly resetSeconds: number;
  /** How long to wait before this call; 0 where it may be made. */
  readonly waitSeconds: number;
}

/** A budget per key that refills steadily (token bucket): short bursts pass, a loop does not. */
interface RateLimiter {
  /** Takes one call, if one is left. */
  take(key: string): Promise<RateLimitState>;
  /** For what an answer cost beside its call. It may be more than is left: the next call then waits until it is paid. */
  charge(key: string, calls: number): Promise<void>;
}

export interface LocalLimitOptions {
  readonly callsPerMinute: number;
  /** Milliseconds. */
  readonly monotonic: () => number;
  /** Keys remembered at most; the one unused for longest is forgotten, which only gives it a full budget. */
  readonly maxKeys: number;
}

/** Counts in this process only. */
interface LocalLimiter {
  readonly callsPerMinute: number;
  take(key: string): RateLimitState;
  charge(key: string, calls: number): void;
}

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

const MINUTE_MS = 60_000;

/** @param left of the budget, after the call where it was taken */
const stateOf = (callsPerMinute: number, isTaken: boolean, left: number): RateLimitState => {
  const msPerCall = MINUTE_MS / callsPerMinute;
  return {
    limit: callsPerMinute,
    remaining: Math.max(0, Math.floor(left)),
    resetSeconds: Math.ceil(((callsPerMinute - left) * msPerCall) / 1000),
    waitSeconds: isTaken ? 0 : Math.max(1, Math.ceil(((1 - left) * msPerCall) / 1000)),
  };
};

export const createLocalLimiter = ({callsPerMinute, monotonic, maxKeys}: LocalLimitOptions): LocalLimiter => {
  const buckets = new Map<string, Bucket>();
  const msPerCall = MINUTE_MS / callsPerMinute;

  const refilled = (key: string): Bucket => {
    const atMs = monotonic();
    const bucket = buckets.get(key) ?? {left: callsPerMinute, atMs};
    return {left: Math.min(callsPerMinute, bucket.left + (atMs - bucket.atMs) / msPerCall), atMs};
  };

  const keep = (key: string, bucket: Bucket): void => {
    buckets.delete(key);
    buckets.set(key, bucket);
    const oldest = buckets.keys().next();
    if (buckets.size > maxKeys && oldest.done !== true) buckets.delete(oldest.value);
  };

  return {
    callsPerMinute,
    take(key) {
      const {left: before, atMs} = refilled(key);
      const isTaken = before >= 1;
      const left = isTaken ? before - 1 : before;
      keep(key, {left, atMs});
      return stateOf(callsPerMinute, isTaken, left);
    },
    charge(key, calls) {
      const {left, atMs} = refilled(key);
      keep(key, {left: Math.max(left - calls, -callsPerMinute), atMs});
    },
  };
};

/**
 * The same bucket in Redis, by its clock. What is full again is forgotten: a debt of a minute's calls takes two. Arguments: calls, milliseconds a call, how many
 * are taken, and how many have to be left for that.
 */
const TAKE = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = redis.call('hmget', KEYS[1], 'left', 'at')
local left = tonumber(ARGV[1])
if bucket[1] then left = math.min(left, bucket[1] + math.max(0, now - bucket[2]) / ARGV[2]) end
local taken = 0
if left >= tonumber(ARGV[4]) then
  taken = 1
  left = math.max(left - ARGV[3], -ARGV[1])
end
redis.call('hset', KEYS[1], 'left', left, 'at', now)
redis.call('pexpire', KEYS[1], ${2 * MINUTE_MS})
return {taken, tostring(left)}`;

const answerSchema = z.tuple([z.literal([0, 1]), z.coerce.number()]);

/** Counts for all processes together in Redis; while that is away, each counts for itself. */
const createRateLimiter = (cache: CacheAccess, local: LocalLimiter): RateLimiter => {
  const {callsPerMinute} = local;
  const run = async (key: string, calls: number, least: number) => {
    const answer = await cache.use((redis) =>
      redis.eval(TAKE, 1, cacheKey.calls(key), callsPerMinute, MINUTE_MS / callsPerMinute, calls, least),
    );
    return answerSchema.safeParse(answer).data;
  };
  return {
    async take(key) {
      const [taken, left] = (await run(key, 1, 1)) ?? [];
      return taken === undefined || left === undefined ? local.take(key) : stateOf(callsPerMinute, taken === 1, left);
    },
    async charge(key, calls) {
      if ((await run(key, calls, -callsPerMinute)) === undefined) local.charge(key, calls);
    },
  };
};

/** So many times what a token may has its family: who makes more tokens does not get more calls without end, and one that loops stops none of the others. */
const FAMILY_SHARE = 10;

type Caller = Pick<Principal, 'tokenHash' | 'rootId'>;

/** The budgets of tokens, and those of families. The token of the Secret is in none. */
export interface CallLimiter {
  /** Takes one call of both, if one is left. @returns of the budget that has less */
  take(caller: Caller): Promise<RateLimitState>;
  charge(caller: Caller, calls: number): Promise<void>;
}

export const createCallLimiter = (cache: CacheAccess, options: LocalLimitOptions): CallLimiter => {
  const limiterOf = (share: number): RateLimiter =>
    createRateLimiter(cache, createLocalLimiter({...options, callsPerMinute: options.callsPerMinute * share}));
  const [ofToken, ofFamily] = [limiterOf(1), limiterOf(FAMILY_SHARE)];
  const keyOf = (rootId: string): string => `family:${rootId}`;
  return {
    async take({tokenHash, rootId}) {
      const own = await ofToken.take(tokenHash);
      // A call that is refused takes nothing of what the others have.
      if (rootId === null || own.waitSeconds > 0) return own;
      const family = await ofFamily.take(keyOf(rootId));
      return family.waitSeconds > 0 || family.remaining < own.remaining ? family : own;
    },
    async charge({tokenHash, rootId}, calls) {
      await ofToken.charge(tokenHash, calls);
      if (rootId !== null) await ofFamily.charge(keyOf(rootId), calls);
    },
  };
};

/** Counts a call. @returns the headers that tell its caller so. @throws AppError `rate-limited`, with them */
export const countCall = async (limiter: CallLimiter, caller: Caller): Promise<Readonly<Record<string, string>>> => {
  const {limit, remaining, resetSeconds, waitSeconds} = await limiter.take(caller);
  const headers = {
    'RateLimit-Limit': String(limit),
    'RateLimit-Remaining': String(remaining),
    'RateLimit-Reset': String(resetSeconds),
  };
  if (waitSeconds === 0) return headers;
  throw new AppError('rate-limited', `More than ${limit} calls a minute; come back in ${waitSeconds} s.`, {
    retryAfterSeconds: waitSeconds,
    headers,
  });
};

import type {Cache} from '@pisync/core/cache/cache';
import {createLru} from '@pisync/core/cache/lru';

/** What each key may use. It refills all the time, and is one for all pods. */
export interface SharedQuota {
  /** Uses so much, if it fits. @returns milliseconds until there will be room; 0 when it was used. */
  use(key: string, amount: number): Promise<number>;
  /** The same, and uses nothing. */
  room(key: string, amount: number): Promise<number>;
}

export interface QuotaLimits {
  /** May be used at once. */
  readonly burst: number;
  /** May be used day by day after that. */
  readonly aDay: number;
}

export interface SharedQuotaOptions {
  readonly cache: Pick<Cache, 'use'>;
  /** In Redis. */
  readonly redisKey: (key: string) => string;
  readonly limits: () => QuotaLimits;
  readonly maxKeys: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const DAY_MS = 86_400_000;
/** Of the burst, which a pod grants without asking the others. Nearly everybody stays below it, and costs Redis nothing. */
const GRANTED = 1 / 64;

/**
 * How long a key lives is what was used, as the time in which that refills: no clock is compared. Returns the milliseconds that are too much, 0 when it fits.
 */
const LOOK = `
local used = math.max(redis.call('pttl', KEYS[1]), 0) + ARGV[1]
if used > tonumber(ARGV[2]) then return used - ARGV[2] end
`;
const CHARGE = `${LOOK}redis.call('set', KEYS[1], '', 'px', used)\nreturn 0`;
const ASK = `${LOOK}return 0`;

export const createSharedQuota = ({cache, redisKey, limits, maxKeys, now}: SharedQuotaOptions): SharedQuota => {
  /** When what was used in this pod will have been refilled. */
  const refilledAt = createLru<number>(maxKeys, now);

  /** How much is too much, in this pod or with all others. */
  const over = async (script: string, key: string, costMs: number): Promise<number> => {
    const {burst, aDay} = limits();
    const burstMs = (burst / aDay) * DAY_MS;
    const usedMs = Math.max(0, (refilledAt.get(key) ?? 0) - now()) + costMs;
    if (usedMs > burstMs) return usedMs - burstMs;
    if (usedMs <= burstMs * GRANTED) return 0;
    const told = await cache.use((redis) =>
      redis.eval(script, 1, redisKey(key), Math.ceil(costMs), Math.ceil(burstMs)),
    );
    // Without Redis this pod's own count has to do.
    return typeof told === 'number' ? told : 0;
  };
  const costOf = (amount: number): number => (amount / limits().aDay) * DAY_MS;

  return {
    room: (key, amount) => over(ASK, key, costOf(amount)),
    async use(key, amount) {
      const costMs = costOf(amount);
      const overMs = await over(CHARGE, key, costMs);
      if (overMs > 0) return overMs;
      // What others used meanwhile counts too.
      const at = Math.max(refilledAt.get(key) ?? 0, now()) + costMs;
      refilledAt.set(key, at, at - now());
      return 0;
    },
  };
};

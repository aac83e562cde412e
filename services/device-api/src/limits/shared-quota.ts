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
 * A key has how much is refilled a day, and lives as long as what was used takes for that: no clock is compared, and what was used stays the same when the
 * limits change. Returns the milliseconds that are too much, 0 when it fits.
 */
const LOOK = `
local aDay = tonumber(ARGV[3])
local used = math.max(redis.call('pttl', KEYS[1]), 0) / ${DAY_MS} * (tonumber(redis.call('get', KEYS[1])) or 0) + ARGV[1]
if used > tonumber(ARGV[2]) then return math.ceil((used - ARGV[2]) / aDay * ${DAY_MS}) end
`;
const CHARGE = `${LOOK}redis.call('set', KEYS[1], ARGV[3], 'px', math.max(math.floor(used / aDay * ${DAY_MS} + 0.5), 1))\nreturn 0`;
const ASK = `${LOOK}return 0`;

export const createSharedQuota = ({cache, redisKey, limits, maxKeys, now}: SharedQuotaOptions): SharedQuota => {
  /** What was used in this pod. */
  const known = createLru<{readonly used: number; readonly atMs: number}>(maxKeys, now);
  const usedOf = (key: string, aDay: number): number => {
    const {used, atMs} = known.get(key) ?? {used: 0, atMs: now()};
    return Math.max(0, used - ((now() - atMs) / DAY_MS) * aDay);
  };
  const msOf = (amount: number, aDay: number): number => Math.ceil((amount / aDay) * DAY_MS);

  /** To what is used by now: other calls may have used some meanwhile. */
  const add = (key: string, amount: number): void => {
    const {aDay} = limits();
    const used = Math.max(0, usedOf(key, aDay) + amount);
    known.set(key, {used, atMs: now()}, msOf(used, aDay));
  };
  const overHere = (key: string, amount: number): number => {
    const {burst, aDay} = limits();
    return msOf(Math.max(0, usedOf(key, aDay) + amount - burst), aDay);
  };
  const isGranted = (key: string, amount: number): boolean => {
    const {burst, aDay} = limits();
    return usedOf(key, aDay) + amount <= burst * GRANTED;
  };
  /** How much is too much with all others. */
  const overThere = async (script: string, key: string, amount: number): Promise<number> => {
    const {burst, aDay} = limits();
    const told = await cache.use((redis) => redis.eval(script, 1, redisKey(key), amount, burst, aDay));
    // Without Redis this pod's own count has to do.
    return typeof told === 'number' ? told : 0;
  };

  return {
    async room(key, amount) {
      const overMs = overHere(key, amount);
      return overMs > 0 || isGranted(key, amount) ? overMs : overThere(ASK, key, amount);
    },
    async use(key, amount) {
      const overMs = overHere(key, amount);
      if (overMs > 0) return overMs;
      const isFree = isGranted(key, amount);
      // At once, so that those who come while Redis is asked find it used.
      add(key, amount);
      if (isFree) return 0;
      const told = await overThere(CHARGE, key, amount);
      if (told > 0) add(key, -amount);
      return told;
    },
  };
};

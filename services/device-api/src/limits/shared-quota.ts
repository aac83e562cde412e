import type {Cache} from '@pisync/core/cache/cache';
import {createLru} from '@pisync/core/cache/lru';

/** What each key may use. It refills all the time, and is one for all pods. */
export interface SharedQuota {
  /** Uses so much, if it fits. */
  use(key: string, amount: number): Promise<Use>;
}

/** `over`: nothing was used; there will be room in so many milliseconds. */
export type Use =
  {readonly kind: 'used'; readonly giveBack: GiveBack} | {readonly kind: 'over'; readonly overMs: number};

/** To be called once, when nothing came of what was used. Never fails; what cannot be given back refills. */
export type GiveBack = () => Promise<void>;

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
 * limits change. Returns the milliseconds that are too much, 0 when it fits. A negative amount is given back, of what is used by now at the most.
 */
const CHARGE = `
local amount = tonumber(ARGV[1])
local aDay = tonumber(ARGV[3])
local used = math.max(redis.call('pttl', KEYS[1]), 0) / ${DAY_MS} * (tonumber(redis.call('get', KEYS[1])) or 0) + amount
if amount > 0 and used > tonumber(ARGV[2]) then return math.ceil((used - ARGV[2]) / aDay * ${DAY_MS}) end
local ms = math.floor(used / aDay * ${DAY_MS} + 0.5)
if amount > 0 then ms = math.max(ms, 1) end
if ms > 0 then redis.call('set', KEYS[1], ARGV[3], 'px', ms) else redis.call('del', KEYS[1]) end
return 0`;

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
  /** How much is too much with all others; undefined when Redis did not say. */
  const overThere = async (key: string, amount: number): Promise<number | undefined> => {
    const {burst, aDay} = limits();
    const told = await cache.use((redis) => redis.eval(CHARGE, 1, redisKey(key), amount, burst, aDay));
    return typeof told === 'number' ? told : undefined;
  };

  return {
    async use(key, amount) {
      const overMs = overHere(key, amount);
      if (overMs > 0) return {kind: 'over', overMs};
      const isFree = isGranted(key, amount);
      // At once, so that those who come while Redis is asked find it used.
      add(key, amount);
      // Without Redis this pod's own count has to do.
      const told = isFree ? undefined : await overThere(key, amount);
      if (told !== undefined && told > 0) {
        add(key, -amount);
        return {kind: 'over', overMs: told};
      }
      const giveBack = async (): Promise<void> => {
        add(key, -amount);
        // What was granted unasked is not counted there: it would be taken off what others used.
        if (told !== undefined) await overThere(key, -amount);
      };
      return {kind: 'used', giveBack};
    },
  };
};

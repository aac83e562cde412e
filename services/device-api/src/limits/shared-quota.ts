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
/**
 * Of the room that Redis said there is, at first the burst: a pod grants it before it tells the others. Nearly everybody costs Redis nothing but a call for each such share. It does not
 * refill: what is told late is told whole, so day by day all pods together grant what one would.
 */
const GRANTED = 1 / 64;

/**
 * A key has how much is refilled a day, and lives as long as what was used takes for that: no clock is compared, and what was used stays the same when the
 * limits change. First comes what was used already, or less than nothing when it is given back; then what is wanted. Returns the milliseconds by which that is too much, 0 when it fits, and the room that is left.
 */
const CHARGE = `
local told = tonumber(ARGV[1])
local wanted = tonumber(ARGV[2])
local burst = tonumber(ARGV[3])
local aDay = tonumber(ARGV[4])
local used = math.max(math.max(redis.call('pttl', KEYS[1]), 0) / ${DAY_MS} * (tonumber(redis.call('get', KEYS[1])) or 0) + told, 0)
local over = math.max(used + wanted - burst, 0)
if wanted == 0 then over = 0 end
if over == 0 then used = used + wanted end
local ms = math.floor(used / aDay * ${DAY_MS} + 0.5)
if used > 0 then ms = math.max(ms, 1) end
if ms > 0 then redis.call('set', KEYS[1], ARGV[4], 'px', ms) else redis.call('del', KEYS[1]) end
return {math.ceil(over / aDay * ${DAY_MS}), math.floor(math.max(burst - used, 0))}`;

/** What {@link CHARGE} says. */
interface Told {
  readonly overMs: number;
  readonly room: number;
}

/** What a pod knows of a key by itself. */
interface Known {
  /** In this pod, and not refilled since. */
  readonly used: number;
  /** Of what was ever used here, what Redis does not have yet. */
  readonly untold: number;
  /** What may be untold. Nothing after a refusal, until Redis says again that there is room, nor while it is asked: those who come meanwhile ask as well. */
  readonly granted: number;
}

export const createSharedQuota = ({cache, redisKey, limits, maxKeys, now}: SharedQuotaOptions): SharedQuota => {
  const entries = createLru<Known & {readonly atMs: number}>(maxKeys, now);
  const knownOf = (key: string): Known => {
    const {burst, aDay} = limits();
    const entry = entries.get(key);
    if (entry === undefined) return {used: 0, untold: 0, granted: burst * GRANTED};
    return {...entry, used: Math.max(0, entry.used - ((now() - entry.atMs) / DAY_MS) * aDay)};
  };
  /** From what is known by now: other calls may have used some meanwhile. */
  const change = (key: string, used: number, untold: number, granted?: number): void => {
    const known = knownOf(key);
    const changed = {
      used: Math.max(0, known.used + used),
      untold: Math.max(0, known.untold + untold),
      granted: granted ?? known.granted,
    };
    entries.set(key, {...changed, atMs: now()}, Infinity);
  };
  /** Undefined when Redis did not say. */
  const tell = async (key: string, untold: number, wanted: number): Promise<Told | undefined> => {
    const {burst, aDay} = limits();
    const answer = await cache.use((redis) => redis.eval(CHARGE, 1, redisKey(key), untold, wanted, burst, aDay));
    if (!Array.isArray(answer)) return undefined;
    const [overMs, room] = answer.map(Number);
    return {overMs: overMs ?? 0, room: room ?? 0};
  };
  const giveBackOf =
    (key: string, amount: number, wasHeard: boolean): GiveBack =>
    async () => {
      const fromUntold = Math.min(amount, knownOf(key).untold);
      change(key, -amount, -fromUntold);
      // What Redis was not told of is not taken off what others used.
      if (wasHeard && fromUntold < amount) await tell(key, fromUntold - amount, 0);
    };

  return {
    async use(key, amount) {
      const {burst, aDay} = limits();
      const {used, untold, granted} = knownOf(key);
      const overHere = Math.max(0, used + amount - burst);
      if (overHere > 0) return {kind: 'over', overMs: Math.ceil((overHere / aDay) * DAY_MS)};
      if (untold + amount <= granted) {
        change(key, amount, amount);
        return {kind: 'used', giveBack: giveBackOf(key, amount, true)};
      }
      // At once, so that those who come while Redis is asked find it used.
      change(key, amount, -untold, 0);
      const told = await tell(key, untold, amount);
      if (told === undefined) {
        // Without Redis this pod's own count has to do. Of what it is told later there is a bound, because that may be days.
        const most = Math.max(0, burst * GRANTED - knownOf(key).untold);
        change(key, 0, Math.min(untold + amount, most));
      } else if (told.overMs === 0) {
        change(key, 0, 0, told.room * GRANTED);
      } else {
        change(key, -amount, 0);
        return {kind: 'over', overMs: told.overMs};
      }
      return {kind: 'used', giveBack: giveBackOf(key, amount, told !== undefined)};
    },
  };
};

import {type Redis} from 'ioredis';
import {type SetCommands} from './cache.ts';
import {cacheKey} from './cache-keys.ts';

/** What is kept of a device for people who look at it: what it is, and how it is doing. */
type DeviceEntry = 'device' | 'status';

/**
 * In place of an entry that a write has just made wrong. Were it only deleted, a reader that began before the write could still put there what it found, and
 * that would be shown until it expires.
 */
const CHANGED = '';
/** Longer than a reader needs from its question to the shard until it keeps the answer: 3 s for a connection, 11 s for a statement. */
const CHANGED_SECONDS = 20;

/** To be called after the commit. For as long as it stands readers ask the shard, and keep nothing: see {@link keepEntry}. */
export const markChanged = <R>(
  commands: SetCommands<R>,
  deviceId: string,
  entries: readonly DeviceEntry[] = ['device', 'status'],
): readonly R[] => entries.map((entry) => commands.set(cacheKey[entry](deviceId), CHANGED, 'EX', CHANGED_SECONDS));

/** What stands there otherwise is replaced: both entries of a device expire at different times, and the older one must not outlive what was read later. */
const SET_UNLESS_CHANGED = `
if redis.call('get', KEYS[1]) == '${CHANGED}' then return end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])`;

/** Keeps what a shard said of a device, unless somebody has said meanwhile that it changed. */
export const keepEntry = (redis: Redis, key: string, value: unknown, ttlSeconds: number): Promise<unknown> =>
  redis.eval(SET_UNLESS_CHANGED, 1, key, JSON.stringify(value), ttlSeconds);

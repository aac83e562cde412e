import {z} from 'zod';
import type {Cache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL, CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {markChanged} from '@pisync/core/cache/device-entries';
import {createLru} from '@pisync/core/cache/lru';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import type {Credential} from '@pisync/core/devices/credentials';
import {AppError} from '@pisync/core/errors/app-error';
import {MAX_WAITING} from '@pisync/core/limits/door';

/** Where credentials are looked up: this process, else Redis, else the device's shard. */
export interface CredentialStore {
  /**
   * Undefined when no such device is enrolled; that is remembered too, so that guessing costs a shard nothing. While the device's
   * shard is away it is what the shard last said, at most two days ago.
   * @throws AppError `shard-unavailable` when the shard is away and nobody remembers the device, `overloaded` when too many wait for one answer.
   */
  find(deviceId: string): Promise<Credential | undefined>;
  /** From the shard, past every cache; at most once a second and device, otherwise what is cached. */
  findFresh(deviceId: string): Promise<Credential | undefined>;
  /** Tells every process what an enrolment has just committed: a new device, or a newer epoch of one. */
  introduce(credential: Credential): Promise<void>;
  /**
   * Forgets a credential here, in Redis and in every other process, once the shard has changed it; a read that began before and
   * ends after keeps nothing. An old credential works on for as long as a read under way, for a minute in a process that does not
   * hear of it, and for ten and one more when Redis cannot be told at all, or longer if the shard is away by then: until it is back.
   */
  invalidate(deviceId: string): Promise<void>;
}

export interface CredentialStoreOptions {
  readonly cache: Cache;
  /** Asks the shard. @throws AppError `shard-unavailable` */
  readonly load: (deviceId: string) => Promise<Credential | undefined>;
  /** The same for who can do without an answer, so it gives up soon. @throws AppError `shard-unavailable` */
  readonly loadQuickly: (deviceId: string) => Promise<Credential | undefined>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const MAX_ENTRIES = 100_000;
const MAX_UNKNOWN = 10_000;
/** Revocation is announced; this bounds what a missed announcement costs. */
const KNOWN_TTL_MS = 60_000;
const UNKNOWN_TTL_MS = 5_000;
const FRESH_EVERY_MS = 1_000;
/** So long Redis is believed. After that the shard is asked, and what Redis has counts only while the shard does not answer. */
const BELIEVED_S = 600;
/** No read takes longer: three attempts and the slot map between them, each at most twice, of at most 3 s for a connection and 16 s for an answer. */
const LONGEST_READ_S = 240;

/**
 * What Redis has in place of a credential that was just changed. A plain DEL would leave the place free for a read that began
 * before it.
 */
const CHANGED = '';

/** Epochs only grow, so an older one comes from a read that an enrolment overtook. */
const SET_UNLESS_OVERTAKEN = `
local known = redis.call('get', KEYS[1])
if known == '${CHANGED}' then return end
if known and tonumber(string.match(known, '"epoch":(%d+)') or 0) > tonumber(ARGV[3]) then return end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])`;

const cachedSchema = z.object({
  deviceKey: z.int(),
  slot: z.int(),
  secretHash: z.string().length(64),
  epoch: z.int(),
  revoked: z.boolean(),
});

interface Entry {
  readonly credential: Credential | undefined;
}

type Read = (deviceId: string) => Promise<Credential | undefined>;

export const createCredentialStore = (options: CredentialStoreOptions): CredentialStore => {
  const {cache, load, loadQuickly, now} = options;
  const known = createLru<Entry>(MAX_ENTRIES, now);
  /** Of their own, so that whoever guesses ids drives no device out. */
  const unknown = createLru<Entry>(MAX_UNKNOWN, now);
  const remembered = (deviceId: string): Entry | undefined => known.get(deviceId) ?? unknown.get(deviceId);
  const remember = (deviceId: string, credential: Credential | undefined): void => {
    const [at, notAt, ttlMs] =
      credential === undefined ? [unknown, known, UNKNOWN_TTL_MS] : [known, unknown, KNOWN_TTL_MS];
    at.set(deviceId, {credential}, ttlMs);
    notAt.delete(deviceId);
  };
  /** Devices that the shard was asked for within the last second. */
  const freshened = createLru<true>(MAX_ENTRIES, now);
  /** Anybody may name a device, and all at once the same. */
  const flight = createSingleFlight<Credential | undefined>(MAX_WAITING);

  /** By device, which invalidation was its last; a read keeps its result only when there was none since it began. */
  const invalidations = createLru<number>(MAX_ENTRIES, now);
  let counted = 0;
  const lastInvalidation = (deviceId: string): number => invalidations.get(deviceId) ?? 0;
  const forget = (deviceId: string): void => {
    known.delete(deviceId);
    unknown.delete(deviceId);
    counted += 1;
    invalidations.set(deviceId, counted, LONGEST_READ_S * 1000);
  };
  cache.subscribe(CACHE_CHANNEL.revoked, forget);

  /** Joins a read of the same kind that is under way, if no invalidation came since. */
  const reading = (kind: string, deviceId: string, read: Read): Promise<Credential | undefined> => {
    const began = counted;
    return flight(`${kind} ${lastInvalidation(deviceId)} ${deviceId}`, async () => {
      const credential = await read(deviceId);
      if (lastInvalidation(deviceId) <= began) remember(deviceId, credential);
      return credential;
    });
  };

  const fromRedis = async (deviceId: string) => {
    const key = cacheKey.credential(deviceId);
    const [text, secondsLeft] = (await cache.use((redis) => Promise.all([redis.get(key), redis.ttl(key)]))) ?? [];
    if (text === undefined || text === null || text === CHANGED || secondsLeft === undefined) return undefined;
    try {
      const {secretHash, ...rest} = cachedSchema.parse(JSON.parse(text));
      const credential: Credential = {...rest, deviceId, secretHash: Buffer.from(secretHash, 'hex')};
      return {credential, isBelieved: secondsLeft >= CACHE_TTL_SECONDS.credential - BELIEVED_S};
    } catch {
      // Another release wrote it; the shard knows.
      return undefined;
    }
  };

  const keepInRedis = async ({deviceId, secretHash, deviceKey, slot, epoch, revoked}: Credential): Promise<void> => {
    const text = JSON.stringify({deviceKey, slot, secretHash: secretHash.toString('hex'), epoch, revoked});
    const key = cacheKey.credential(deviceId);
    await cache.use((redis) => redis.eval(SET_UNLESS_OVERTAKEN, 1, key, text, CACHE_TTL_SECONDS.credential, epoch));
  };

  const asking =
    (ask: Read): Read =>
    async (deviceId) => {
      freshened.set(deviceId, true, FRESH_EVERY_MS);
      const credential = await ask(deviceId).catch((error: unknown) => {
        freshened.delete(deviceId);
        throw error;
      });
      if (credential !== undefined) await keepInRedis(credential);
      return credential;
    };
  const fromShard = asking(load);
  const fromShardQuickly = asking(loadQuickly);

  const fromShardUnlessAway = async (kept: Credential): Promise<Credential | undefined> => {
    const {deviceId} = kept;
    try {
      const credential = await fromShardQuickly(deviceId);
      if (credential === undefined) await cache.use((redis) => redis.del(cacheKey.credential(deviceId)));
      return credential;
    } catch (error) {
      if (error instanceof AppError && error.code === 'shard-unavailable') return kept;
      throw error;
    }
  };

  const fromAnywhere: Read = async (deviceId) => {
    const kept = await fromRedis(deviceId);
    if (kept === undefined) return fromShard(deviceId);
    return kept.isBelieved ? kept.credential : fromShardUnlessAway(kept.credential);
  };

  const announce = async (deviceId: string): Promise<void> => {
    await cache.use((redis) =>
      Promise.all([...markChanged(redis, deviceId, ['device']), redis.publish(CACHE_CHANNEL.revoked, deviceId)]),
    );
    // Last, so that what was read from Redis a moment ago is forgotten as well.
    forget(deviceId);
  };

  return {
    async find(deviceId) {
      const entry = remembered(deviceId);
      if (entry !== undefined) return entry.credential;
      return reading('any', deviceId, fromAnywhere);
    },

    async findFresh(deviceId) {
      const entry = remembered(deviceId);
      // An entry that came from Redis may be ten minutes old, but one from the shard within the second is fresh enough.
      if (entry !== undefined && freshened.get(deviceId) !== undefined) return entry.credential;
      return reading('fresh', deviceId, fromShard);
    },

    async introduce(credential) {
      await keepInRedis(credential);
      await announce(credential.deviceId);
    },

    async invalidate(deviceId) {
      await cache.use((redis) => redis.set(cacheKey.credential(deviceId), CHANGED, 'EX', LONGEST_READ_S));
      await announce(deviceId);
    },
  };
};

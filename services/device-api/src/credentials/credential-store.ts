import {z} from 'zod';
import type {Cache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL, CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {createLru} from '@pisync/core/cache/lru';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import type {Credential} from '@pisync/core/devices/credentials';

/** Where credentials are looked up: this process, else Redis, else the device's shard. */
export interface CredentialStore {
  /** Undefined when no such device is enrolled; that is remembered too, so that guessing costs a shard nothing. */
  find(deviceId: string): Promise<Credential | undefined>;
  /** From the shard, past every cache; at most once a second and device, otherwise what is cached. */
  findFresh(deviceId: string): Promise<Credential | undefined>;
  /**
   * Forgets a credential here, in Redis and in every other process, once the shard has the new one; a read that began before and
   * ends after keeps nothing. An old credential works on for as long as a read under way, for a minute in a process that does not
   * hear of it, and for ten and one more when Redis cannot be told at all.
   */
  invalidate(deviceId: string): Promise<void>;
}

export interface CredentialStoreOptions {
  readonly cache: Cache;
  readonly load: (deviceId: string) => Promise<Credential | undefined>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const MAX_ENTRIES = 100_000;
/** Revocation is announced; this bounds what a missed announcement costs. */
const KNOWN_TTL_MS = 60_000;
const UNKNOWN_TTL_MS = 5_000;
const FRESH_EVERY_MS = 1_000;
/** No read takes longer: three attempts, each of at most 3 s for a connection and 16 s for an answer, and the slot map between them. */
const LONGEST_READ_S = 120;

/**
 * What Redis has in place of a credential that was just replaced. A plain DEL would leave the place free for a read that began
 * before it.
 */
const REPLACED = '';
const SET_UNLESS_REPLACED = `
if redis.call('get', KEYS[1]) ~= '${REPLACED}' then redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2]) end`;

const cachedSchema = z.object({
  deviceKey: z.int(),
  slot: z.int(),
  secretHash: z.string().length(64),
  epoch: z.int(),
  group: z.string(),
  revoked: z.boolean(),
});

interface Entry {
  readonly credential: Credential | undefined;
}

export const createCredentialStore = ({cache, load, now}: CredentialStoreOptions): CredentialStore => {
  const lru = createLru<Entry>(MAX_ENTRIES, now);
  /** Devices that the shard was asked for within the last second. */
  const freshened = createLru<true>(MAX_ENTRIES, now);
  const flight = createSingleFlight<Credential | undefined>();

  /** By device, which invalidation was its last; a read keeps its result only when there was none since it began. */
  const invalidations = createLru<number>(MAX_ENTRIES, now);
  let counted = 0;
  const lastInvalidation = (deviceId: string): number => invalidations.get(deviceId) ?? 0;
  const forget = (deviceId: string): void => {
    lru.delete(deviceId);
    counted += 1;
    invalidations.set(deviceId, counted, LONGEST_READ_S * 1000);
  };
  cache.subscribe(CACHE_CHANNEL.revoked, forget);

  type Read = (deviceId: string) => Promise<Credential | undefined>;
  /** Joins a read of the same kind that is under way, if no invalidation came since. */
  const reading = (kind: string, deviceId: string, read: Read): Promise<Credential | undefined> => {
    const began = counted;
    return flight(`${kind} ${lastInvalidation(deviceId)} ${deviceId}`, async () => {
      const credential = await read(deviceId);
      if (lastInvalidation(deviceId) <= began) {
        lru.set(deviceId, {credential}, credential === undefined ? UNKNOWN_TTL_MS : KNOWN_TTL_MS);
      }
      return credential;
    });
  };

  const fromRedis = async (deviceId: string): Promise<Credential | undefined> => {
    const text = await cache.use((redis) => redis.get(cacheKey.credential(deviceId)));
    if (text === undefined || text === null || text === REPLACED) return undefined;
    try {
      const {secretHash, ...rest} = cachedSchema.parse(JSON.parse(text));
      return {...rest, deviceId, secretHash: Buffer.from(secretHash, 'hex')};
    } catch {
      // Another release wrote it; the shard knows.
      return undefined;
    }
  };

  const fromShard = async (deviceId: string): Promise<Credential | undefined> => {
    freshened.set(deviceId, true, FRESH_EVERY_MS);
    const credential = await load(deviceId);
    if (credential !== undefined) {
      const {deviceKey, slot, secretHash, epoch, group, revoked} = credential;
      const text = JSON.stringify({deviceKey, slot, secretHash: secretHash.toString('hex'), epoch, group, revoked});
      const key = cacheKey.credential(deviceId);
      await cache.use((redis) => redis.eval(SET_UNLESS_REPLACED, 1, key, text, CACHE_TTL_SECONDS.credential));
    }
    return credential;
  };

  return {
    async find(deviceId) {
      const entry = lru.get(deviceId);
      if (entry !== undefined) return entry.credential;
      return reading('any', deviceId, async () => (await fromRedis(deviceId)) ?? fromShard(deviceId));
    },
    async findFresh(deviceId) {
      const entry = lru.get(deviceId);
      // An entry that came from Redis may be ten minutes old, but one from the shard within the second is fresh enough.
      if (entry !== undefined && freshened.get(deviceId) !== undefined) return entry.credential;
      return reading('fresh', deviceId, fromShard);
    },
    async invalidate(deviceId) {
      await cache.use((redis) =>
        Promise.all([
          redis.set(cacheKey.credential(deviceId), REPLACED, 'EX', LONGEST_READ_S),
          redis.del(cacheKey.device(deviceId)),
          redis.publish(CACHE_CHANNEL.revoked, deviceId),
        ]),
      );
      // Last, so that what was read from Redis a moment ago is forgotten as well.
      forget(deviceId);
    },
  };
};

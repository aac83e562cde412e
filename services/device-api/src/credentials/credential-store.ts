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
  /** Forgets a credential here, in Redis and in every other process. */
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
  cache.subscribe(CACHE_CHANNEL.revoked, (deviceId) => lru.delete(deviceId));

  const keep = (deviceId: string, credential: Credential | undefined): Credential | undefined => {
    lru.set(deviceId, {credential}, credential === undefined ? UNKNOWN_TTL_MS : KNOWN_TTL_MS);
    return credential;
  };

  const fromRedis = async (deviceId: string): Promise<Credential | undefined> => {
    const text = await cache.use((redis) => redis.get(cacheKey.credential(deviceId)));
    if (text === undefined || text === null) return undefined;
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
      await cache.use((redis) => redis.set(cacheKey.credential(deviceId), text, 'EX', CACHE_TTL_SECONDS.credential));
    }
    return keep(deviceId, credential);
  };

  return {
    async find(deviceId) {
      const entry = lru.get(deviceId);
      if (entry !== undefined) return entry.credential;
      return flight(`any ${deviceId}`, async () => {
        const cached = await fromRedis(deviceId);
        return cached === undefined ? fromShard(deviceId) : keep(deviceId, cached);
      });
    },
    async findFresh(deviceId) {
      const entry = lru.get(deviceId);
      // An entry that came from Redis may be ten minutes old, but one from the shard within the second is fresh enough.
      if (entry !== undefined && freshened.get(deviceId) !== undefined) return entry.credential;
      return flight(`fresh ${deviceId}`, () => fromShard(deviceId));
    },
    async invalidate(deviceId) {
      lru.delete(deviceId);
      await cache.use((redis) =>
        Promise.all([
          redis.del(cacheKey.credential(deviceId), cacheKey.device(deviceId)),
          redis.publish(CACHE_CHANNEL.revoked, deviceId),
        ]),
      );
    },
  };
};

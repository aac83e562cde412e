import {z} from 'zod';
import type {Cache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL, CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {announceCredential, CHANGED_CREDENTIAL, invalidateCredential} from '@pisync/core/cache/credential-entries';
import type {Credential} from '@pisync/core/devices/credentials';

/** What all processes remember of credentials together. It may be away: then nothing is found, and what is written is lost. */
export interface CredentialCache {
  /** `isBelieved` while it is so young that the shard need not be asked. */
  find(deviceId: string): Promise<{readonly credential: Credential; readonly isBelieved: boolean} | undefined>;
  /** Unless an enrolment or an invalidation overtook the read that it comes from. */
  keep(credential: Credential): Promise<void>;
  /** Of a device that is gone. */
  drop(deviceId: string): Promise<void>;
  /** In place of a credential that was just changed, so that no read that began before it puts back what it found. */
  invalidate(deviceId: string): Promise<void>;
  /** Tells every process that a credential changed. */
  announce(deviceId: string): Promise<void>;
  /** Calls `listener` for each device that is announced; announcements may be missed. */
  onAnnounced(listener: (deviceId: string) => void): void;
}

/** So long Redis is believed. After that the shard is asked, and what Redis has counts only while the shard does not answer. */
const BELIEVED_S = 600;

/** The epochs of a device only grow, so an older one comes from a read that an enrolment overtook. One that was made anew has another key, and begins at 1. */
const SET_UNLESS_OVERTAKEN = `
local known = redis.call('get', KEYS[1])
if known == '${CHANGED_CREDENTIAL}' then return end
local function said(what) return tonumber(known and string.match(known, '"' .. what .. '":(%d+)') or 0) end
if said('deviceKey') == tonumber(ARGV[4]) and said('epoch') > tonumber(ARGV[3]) then return end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])`;

const cachedSchema = z.object({
  deviceKey: z.int(),
  slot: z.int(),
  secretHash: z.string().length(64),
  epoch: z.int(),
  revoked: z.boolean(),
});

export const createCredentialCache = (cache: Cache): CredentialCache => ({
  async find(deviceId) {
    const key = cacheKey.credential(deviceId);
    const [text, secondsLeft] = (await cache.use((redis) => Promise.all([redis.get(key), redis.ttl(key)]))) ?? [];
    if (text === undefined || text === null || text === CHANGED_CREDENTIAL || secondsLeft === undefined)
      return undefined;
    try {
      const {secretHash, ...rest} = cachedSchema.parse(JSON.parse(text));
      const credential: Credential = {...rest, deviceId, secretHash: Buffer.from(secretHash, 'hex')};
      return {credential, isBelieved: secondsLeft >= CACHE_TTL_SECONDS.credential - BELIEVED_S};
    } catch {
      // Another release wrote it; the shard knows.
      return undefined;
    }
  },

  async keep({deviceId, secretHash, deviceKey, slot, epoch, revoked}) {
    const text = JSON.stringify({deviceKey, slot, secretHash: secretHash.toString('hex'), epoch, revoked});
    const key = cacheKey.credential(deviceId);
    const seconds = CACHE_TTL_SECONDS.credential;
    await cache.use((redis) => redis.eval(SET_UNLESS_OVERTAKEN, 1, key, text, seconds, epoch, deviceKey));
  },

  async drop(deviceId) {
    await cache.use((redis) => redis.del(cacheKey.credential(deviceId)));
  },

  async invalidate(deviceId) {
    await cache.use((redis) => invalidateCredential(redis, deviceId));
  },

  async announce(deviceId) {
    await cache.use((redis) => announceCredential(redis, deviceId));
  },

  onAnnounced: (listener) => cache.subscribe(CACHE_CHANNEL.revoked, listener),
});

import {type Redis} from 'ioredis';
import {CACHE_CHANNEL, cacheKey} from './cache-keys.ts';
import {markChanged} from './device-entries.ts';

/**
 * What Redis has in place of a credential that was just changed. A plain DEL would leave the place free for a read that began
 * before it.
 */
export const CHANGED_CREDENTIAL = '';
/** No read takes longer: three attempts and the slot map between them, each at most twice, of at most 3 s for a connection and 16 s for an answer. */
export const LONGEST_READ_S = 240;

/** In place of a credential that was just changed, so that no read that began before it puts back what it found. */
export const invalidateCredential = (redis: Redis, deviceId: string): Promise<unknown> =>
  redis.set(cacheKey.credential(deviceId), CHANGED_CREDENTIAL, 'EX', LONGEST_READ_S);

/** Tells every process that a credential changed: what it remembers of the device counts no more. */
export const announceCredential = (redis: Redis, deviceId: string): Promise<unknown> =>
  Promise.all([...markChanged(redis, deviceId, ['device']), redis.publish(CACHE_CHANNEL.revoked, deviceId)]);

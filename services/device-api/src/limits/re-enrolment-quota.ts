import type {Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {AppError} from '@pisync/core/errors/app-error';
import {createSharedQuota, type Use} from './shared-quota.ts';

/**
 * How often a device that is enrolled may come with another secret, whatever the shard answers. Each time costs the shard a transaction, which locks the
 * device's row. A repetition of the last enrolment does not count. Each token has its own count of a device: one of another group uses up nothing that the
 * device needs.
 */
export interface ReEnrolmentQuota {
  /** Before the transaction. @throws AppError `rate-limited` with a time to come back. */
  charge(deviceId: string, tokenHash: string): Promise<void>;
}

export interface ReEnrolmentQuotaOptions {
  readonly cache: Pick<Cache, 'use'>;
  /** Of all devices together, with one token: as many as it may make. */
  readonly mostOfToken: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** With one token. Twice what a shard grants (core's devices/enrolment.ts), so whoever is honest hears only of that. */
const OF_DEVICE_WITH_TOKEN = {burst: 20, aDay: 48} as const;
const MAX_DEVICES = 100_000;
const MAX_TOKENS = 10_000;

export const createReEnrolmentQuota = ({cache, mostOfToken, now}: ReEnrolmentQuotaOptions): ReEnrolmentQuota => {
  const redisKey = cacheKey.reEnrolments;
  const ofDeviceWithToken = createSharedQuota({
    cache,
    redisKey,
    limits: () => OF_DEVICE_WITH_TOKEN,
    maxKeys: MAX_DEVICES,
    now,
  });
  const ofToken = createSharedQuota({
    cache,
    redisKey,
    limits: () => ({burst: mostOfToken(), aDay: mostOfToken()}),
    maxKeys: MAX_TOKENS,
    now,
  });
  const refuseOver = (use: Use): void => {
    if (use.kind === 'used') return;
    throw new AppError('rate-limited', 'this device, or this token, enrolled anew too often; come back later', {
      retryAfterSeconds: Math.ceil(use.overMs / 1000),
    });
  };
  return {
    async charge(deviceId, tokenHash) {
      // One device must not use up what others have of its token.
      refuseOver(await ofDeviceWithToken.use(`${deviceId}:${tokenHash}`, 1));
      refuseOver(await ofToken.use(tokenHash, 1));
    },
  };
};

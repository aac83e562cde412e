import type {Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {AppError} from '@pisync/core/errors/app-error';
import {createSharedQuota, type GiveBack} from './shared-quota.ts';

/** How many devices an enrolment token makes. A device is a few rows for good and has quotas of its own. */
export interface NewDeviceQuota {
  /**
   * Before a device is made. Who makes none gives it back: what failed costs its token nothing, however often it is repeated.
   * @throws AppError `rate-limited` with a time to come back.
   */
  take(tokenHash: string): Promise<GiveBack>;
}

export interface NewDeviceQuotaOptions {
  readonly cache: Pick<Cache, 'use'>;
  /** Of one token, see {@link mostOfToken}. */
  readonly most: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** A region that is declared for few devices is often tried with some more. */
const LEAST = 1000;

/** How many devices one token may concern in a day. @param capacity how many the region is made for */
export const mostOfToken = (capacity: number): number => Math.max(capacity, LEAST);
/** Room for one comes every few seconds, and a fleet that waits for it would ask all the time. */
const RETRY_S = 600;
/** More than a region has. One that is forgotten has a full quota. */
const MAX_TOKENS = 10_000;

/** A whole fleet may come at once, and once a day again: when a shard was lost its devices are made anew. */
export const createNewDeviceQuota = ({cache, most, now}: NewDeviceQuotaOptions): NewDeviceQuota => {
  const quota = createSharedQuota({
    cache,
    redisKey: cacheKey.newDevices,
    limits: () => ({burst: most(), aDay: most()}),
    maxKeys: MAX_TOKENS,
    now,
  });
  return {
    async take(tokenHash) {
      // Before, not after: those who come at the same moment would all find the last one free.
      const use = await quota.use(tokenHash, 1);
      if (use.kind === 'used') return use.giveBack;
      throw new AppError('rate-limited', `an enrolment token lets ${most()} new devices in a day; come back later`, {
        retryAfterSeconds: Math.max(RETRY_S, Math.ceil(use.overMs / 1000)),
      });
    },
  };
};

import type {Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {createLru} from '@pisync/core/cache/lru';
import {AppError} from '@pisync/core/errors/app-error';
import {createSharedQuota} from './shared-quota.ts';

/** How often an enrolment token that is used up may be tried. Each try asks shard 0, and whoever has the token may repeat it without end. */
export interface UsedUpQuota {
  /** Before shard 0 is asked for a place. @throws AppError `rate-limited` with a time to come back */
  check(tokenHash: string): void;
  /** After it said that there is none. */
  charge(tokenHash: string): Promise<void>;
}

export interface UsedUpQuotaOptions {
  readonly cache: Pick<Cache, 'use'>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Of one token. Who has some devices more than it lets in meets this not even when each of them tries again every hour. */
const OF_TOKEN = {burst: 100, aDay: 1000} as const;
const MAX_TOKENS = 10_000;

export const createUsedUpQuota = ({cache, now}: UsedUpQuotaOptions): UsedUpQuota => {
  const quota = createSharedQuota({
    cache,
    redisKey: cacheKey.usedUp,
    limits: () => OF_TOKEN,
    maxKeys: MAX_TOKENS,
    now,
  });
  /** Until when each token is to wait. */
  const toWait = createLru<number>(MAX_TOKENS, now);
  return {
    check(tokenHash) {
      const until = toWait.get(tokenHash);
      if (until === undefined) return;
      throw new AppError('rate-limited', 'the enrolment token is used up and was tried too often; come back later', {
        retryAfterSeconds: Math.ceil((until - now()) / 1000),
      });
    },
    async charge(tokenHash) {
      const use = await quota.use(tokenHash, 1);
      if (use.kind === 'over') toWait.set(tokenHash, now() + use.overMs, use.overMs);
    },
  };
};

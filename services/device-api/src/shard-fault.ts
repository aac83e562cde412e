import {withLoopTimeout} from '@pisync/core/cache/loop-timeout';
import {AppError} from '@pisync/core/errors/app-error';
import type {Timers} from '@pisync/core/lifecycle/timers';
import {isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';

/** Seconds. A shard that restarts is back within a minute; the spread of Retry-After does the rest. */
export const SHARD_RETRY_S = 15;

/** A call needs two such answers at most, and proxies give up after 15 s, without a word on when to come back. */
const PATIENCE_MS = 5_000;

/**
 * A database that is away, or hangs, becomes a 503 with a time to come back; its own message goes to `onFault`. What it was asked to
 * write may be written all the same.
 */
export type FromShard = <T>(work: Promise<T>) => Promise<T>;

export const createFromShard =
  (timers: Timers, onFault: (error: unknown) => void): FromShard =>
  async (work) => {
    try {
      return await withLoopTimeout(work, {ms: PATIENCE_MS, timers});
    } catch (error) {
      const isLate = error instanceof AppError && error.code === 'unavailable';
      // What we say ourselves has its own time to come back.
      if (!isLate && (error instanceof AppError || !isSystemicDatabaseFault(error))) throw error;
      onFault(error);
      throw new AppError('shard-unavailable', 'the device database does not answer at the moment; come back later', {
        cause: error,
        retryAfterSeconds: SHARD_RETRY_S,
      });
    }
  };

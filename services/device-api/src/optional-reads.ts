import {type Breaker, createBreaker} from '@pisync/core/cache/breaker';
import {withLoopTimeout} from '@pisync/core/cache/loop-timeout';
import {AppError} from '@pisync/core/errors/app-error';
import type {Timers} from '@pisync/core/lifecycle/timers';
import {isShardFault, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';

/**
 * Asks the shard of a slot what the caller can do without. A shard that does not answer is given up on soon, and then it is not
 * asked at all for a moment, so that a shard that is away costs its devices next to nothing.
 * @throws AppError `shard-unavailable`, or what `read` threw for another reason.
 */
export type OptionalRead = <T>(slot: number, read: () => Promise<T>) => Promise<T>;

export interface OptionalReadOptions {
  /** @throws AppError `shard-unavailable` when that is not known yet. */
  readonly shardOf: (slot: number) => number;
  readonly timers: Timers;
}

/** Some hundred times what a read takes on a busy shard; a device waits for a few of them at most. */
const PATIENCE_MS = 1_000;
/** What fails together counts once. So connections that are all lost at the same moment change nothing, and a shard that refuses or hangs is known by the second question. */
const BREAKER = {threshold: 2, pauseMs: 1_000} as const;

export const createOptionalRead = ({shardOf, timers}: OptionalReadOptions): OptionalRead => {
  const breakers = new Map<number, Breaker>();
  const breakerOf = (shardId: number): Breaker => {
    const known = breakers.get(shardId);
    if (known !== undefined) return known;
    const created = createBreaker({...BREAKER, now: timers.now});
    breakers.set(shardId, created);
    return created;
  };

  return async (slot, read) => {
    const shardId = shardOf(slot);
    const attempt = breakerOf(shardId).begin();
    if (attempt === undefined) throw new AppError('shard-unavailable', `shard ${shardId} did not answer a moment ago`);
    try {
      const value = await withLoopTimeout(read(), {ms: PATIENCE_MS, timers});
      attempt.succeeded();
      return value;
    } catch (error) {
      const isLate = error instanceof AppError && error.code === 'unavailable';
      // What we say ourselves, of a slot that is being moved for instance, is no failure of the shard.
      if (!isLate && (error instanceof AppError || !isSystemicDatabaseFault(error))) throw error;
      // A row that cannot be read says nothing of the shard, and its device is not everybody's.
      if (isLate || isShardFault(error)) attempt.failed();
      throw new AppError('shard-unavailable', `shard ${shardId} does not answer`, {cause: error});
    }
  };
};

import {type Breaker, createBreaker} from '@pisync/core/cache/breaker';
import {withLoopTimeout} from '@pisync/core/cache/loop-timeout';
import {AppError} from '@pisync/core/errors/app-error';
import type {Timers} from '@pisync/core/lifecycle/timers';
import {isPoolFull, isShardFault, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import type {PoolLoad} from '@pisync/core/shards/shards';

/**
 * Asks the shard of a slot what the caller can do without. A shard that does not answer is given up on soon, and then it is not
 * asked at all for a moment, so that a shard that is away costs its devices next to nothing.
 * @throws AppError `shard-unavailable`; `overloaded` when no connection came free, and the shard answered others meanwhile; or what `read` threw for another reason.
 */
export type OptionalRead = <T>(slot: number, read: () => Promise<T>) => Promise<T>;

export interface OptionalReadOptions {
  /** @throws AppError `shard-unavailable` when that is not known yet. */
  readonly shardOf: (slot: number) => number;
  /** Of the connections that shards are asked over. */
  readonly loadOf: (shardId: number) => PoolLoad;
  readonly timers: Timers;
}

/** Some hundred times what a read takes on a busy shard; a device waits for a few of them at most. */
const PATIENCE_MS = 1_000;
/** What fails together counts once. So connections that are all lost at the same moment change nothing, and a shard that refuses or hangs is known by the second question. */
const BREAKER = {threshold: 2, pauseMs: 1_000} as const;

/** Of one shard. */
interface Asked {
  readonly breaker: Breaker;
  /** What the last failure said of it. */
  why: 'shard-unavailable' | 'overloaded';
}

export const createOptionalRead = ({shardOf, loadOf, timers}: OptionalReadOptions): OptionalRead => {
  const shards = new Map<number, Asked>();
  const askedOf = (shardId: number): Asked => {
    const known = shards.get(shardId);
    if (known !== undefined) return known;
    const created: Asked = {breaker: createBreaker({...BREAKER, now: timers.now}), why: 'shard-unavailable'};
    shards.set(shardId, created);
    return created;
  };

  return async (slot, read) => {
    const shardId = shardOf(slot);
    const shard = askedOf(shardId);
    const attempt = shard.breaker.begin();
    if (attempt === undefined) throw new AppError(shard.why, `shard ${shardId} did not answer a moment ago`);
    const before = loadOf(shardId);
    try {
      const value = await withLoopTimeout(read(), {ms: PATIENCE_MS, timers});
      attempt.succeeded();
      return value;
    } catch (error) {
      const isLate = error instanceof AppError && error.code === 'unavailable';
      // What we say ourselves, of a slot that is being moved for instance, is no failure of the shard.
      if (!isLate && (error instanceof AppError || !isSystemicDatabaseFault(error))) throw error;
      const load = loadOf(shardId);
      const isCrowded = isPoolFull(error) || (isLate && load.waiting > 0);
      const why = isCrowded && load.answered > before.answered ? 'overloaded' : 'shard-unavailable';
      // A row that cannot be read says nothing of the shard, and its device is not everybody's.
      if (isLate || isShardFault(error)) {
        attempt.failed();
        shard.why = why;
      }
      throw new AppError(why, `shard ${shardId} does not answer`, {cause: error});
    }
  };
};

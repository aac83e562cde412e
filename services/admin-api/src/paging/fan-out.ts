import {describeError} from '@pisync/core/errors/app-error';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';
import {isPoolFull, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import type {LeftMs} from '@pisync/core/shards/query-within';
import type {PoolLoad} from '@pisync/core/shards/shards';
import {tooManyReaders} from './too-many-readers.ts';

export interface ShardAnswer<T> {
  readonly shard: number;
  readonly value: T;
}

export interface FanOut<T> {
  /** In the order of the shards that were asked. */
  readonly answers: readonly ShardAnswer<T>[];
  /** Shards that are away or did not answer in time. */
  readonly missing: readonly number[];
}

export interface FanOutOptions {
  /** How long a reader waits for the slowest shard. */
  readonly timeoutMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic: () => number;
  /** Of the connections that shards are asked over. */
  readonly loadOf: (shard: number) => PoolLoad;
  readonly onMissing: (shard: number, reason: string) => void;
}

/** @param ask what it sends a shard is of no use once nothing is left */
export type AskShards = <T>(
  shards: readonly number[],
  ask: (shard: number, leftMs: LeftMs) => Promise<T>,
) => Promise<FanOut<T>>;

/** A statement ends so long after its reader has left, who then knows that it was late. */
const GRACE_MS = 100;

/**
 * Asks shards at the same moment; one that does not answer costs its own rows, not the answer.
 * @throws AppError `overloaded` when no connection came free in time to a shard that answered others meanwhile; and what a shard answered that is there: that it cannot
 * do what it was asked is a mistake of ours, and no row of it would ever come.
 */
export const createFanOut =
  ({timeoutMs, monotonic, loadOf, onMissing}: FanOutOptions): AskShards =>
  async <T>(shards: readonly number[], ask: (shard: number, leftMs: LeftMs) => Promise<T>): Promise<FanOut<T>> => {
    const endMs = monotonic() + timeoutMs + GRACE_MS;
    const leftMs = (): number => endMs - monotonic();
    const outcomes = await Promise.all(
      shards.map(async (shard) => {
        const late = `shard ${shard} did not answer within ${timeoutMs} ms`;
        const before = loadOf(shard);
        try {
          return {kind: 'answer', shard, value: await withTimeout(ask(shard, leftMs), timeoutMs, late)} as const;
        } catch (error) {
          const reason = describeError(error);
          const isLate = reason === late;
          if (!isLate && !isSystemicDatabaseFault(error)) throw error;
          const now = loadOf(shard);
          const isCrowded = isPoolFull(error) || (isLate && now.waiting > 0);
          if (isCrowded && now.answered > before.answered) throw tooManyReaders(error);
          onMissing(shard, reason);
          return {kind: 'missing', shard} as const;
        }
      }),
    );
    return {
      answers: outcomes.filter((outcome) => outcome.kind === 'answer').map(({shard, value}) => ({shard, value})),
      missing: outcomes.filter((outcome) => outcome.kind === 'missing').map(({shard}) => shard),
    };
  };

/** How answers name shards to people. */
export const shardNames = (shards: readonly number[]): string[] => shards.map((shard) => `shard-${shard}`);

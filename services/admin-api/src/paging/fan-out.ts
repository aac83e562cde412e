import {describeError} from '@pisync/core/errors/app-error';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';

export interface ShardAnswer<T> {
  readonly shard: number;
  readonly value: T;
}

export interface FanOut<T> {
  /** In the order of the shards that were asked. */
  readonly answers: readonly ShardAnswer<T>[];
  /** Shards that failed or did not answer in time. */
  readonly missing: readonly number[];
}

export interface FanOutOptions {
  /** How long a reader waits for the slowest shard. */
  readonly timeoutMs: number;
  readonly onMissing: (shard: number, reason: string) => void;
}

export type AskShards = <T>(shards: readonly number[], ask: (shard: number) => Promise<T>) => Promise<FanOut<T>>;

/** Asks shards at the same moment; one that fails costs its own rows, not the answer. */
export const createFanOut =
  ({timeoutMs, onMissing}: FanOutOptions): AskShards =>
  async <T>(shards: readonly number[], ask: (shard: number) => Promise<T>): Promise<FanOut<T>> => {
    const outcomes = await Promise.all(
      shards.map(async (shard) => {
        try {
          const value = await withTimeout(
            ask(shard),
            timeoutMs,
            `shard ${shard} did not answer within ${timeoutMs} ms`,
          );
          return {kind: 'answer', shard, value} as const;
        } catch (error) {
          onMissing(shard, describeError(error));
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

import {describeError, AppError} from '@pisync/core/errors/app-error';
import {sweepStatuses} from '@pisync/core/devices/status-sweep';
import {daysAround, ensurePartitions, PARTITION_DAYS} from '@pisync/core/shards/partitions';
import {type Fence, type KeeperTerms} from '@pisync/core/shards/keeper-term';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Job} from './schedule.ts';

export interface JobsOptions {
  readonly shards: Shards;
  readonly terms: KeeperTerms;
  readonly log: Logger;
  readonly now: () => number;
}

const MINUTE_MS = 60_000;

/** What the acting keeper does, all of it safe to repeat, and on each shard within its term. */
export const createJobs = ({shards, terms, log, now}: JobsOptions): readonly Job[] => {
  const onEveryShard = (signal: AbortSignal, work: (shardId: number, fence: Fence) => Promise<void>): Promise<void> =>
    inTurn(shards.ids(), signal, async (shardId) => {
      const fence = await terms.fenceOf(shardId);
      if (!signal.aborted) await work(shardId, fence);
    });
  const partitions: Job = {
    name: 'partitions',
    everyMs: 60 * MINUTE_MS,
    run: (signal) =>
      onEveryShard(signal, async (shardId, fence) => {
        const days = daysAround(now(), PARTITION_DAYS.from, PARTITION_DAYS.to);
        const created = await ensurePartitions(shards.pool(shardId, 'job'), days, fence);
        if (created.length > 0) log.info({shard: shardId, created}, 'made day partitions ahead');
      }),
  };
  const statuses: Job = {
    name: 'statuses',
    everyMs: MINUTE_MS,
    run: (signal) =>
      onEveryShard(signal, async (shardId, fence) => {
        const changed = await sweepStatuses(shards, shardId, now(), fence);
        if (changed > 0) log.info({shard: shardId, changed}, 'devices changed status by time');
      }),
  };
  return [partitions, statuses];
};

/** Some at once, so that one that is away holds up few, and many are swept within their minute. */
const AT_ONCE = 4;

/**
 * Each shard has its turn, also when another one is away, until the signal aborts: shards that are away take seconds each, and a keeper that
 * is told to stop has few. @throws AppError that names the shards that failed.
 */
const inTurn = async (
  shardIds: readonly number[],
  signal: AbortSignal,
  work: (shardId: number) => Promise<void>,
): Promise<void> => {
  const failures: {readonly shardId: number; readonly reason: string}[] = [];
  const waiting = [...shardIds];
  const next = async (): Promise<void> => {
    for (let shardId = waiting.shift(); shardId !== undefined && !signal.aborted; shardId = waiting.shift()) {
      try {
        await work(shardId);
      } catch (error) {
        failures.push({shardId, reason: describeError(error)});
      }
    }
  };
  await Promise.all(Array.from({length: AT_ONCE}, next));
  if (failures.length === 0) return;
  const reasons = failures
    .toSorted((a, b) => a.shardId - b.shardId)
    .map(({shardId, reason}) => `shard ${shardId}: ${reason}`);
  throw new AppError('shard-unavailable', reasons.join('; '));
};

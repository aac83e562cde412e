import {describeError, AppError} from '@pisync/core/errors/app-error';
import {sweepStatuses} from '@pisync/core/devices/status-sweep';
import {daysAround, ensurePartitions, PARTITION_DAYS} from '@pisync/core/shards/partitions';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Job} from './schedule.ts';

export interface JobsOptions {
  readonly shards: Shards;
  readonly log: Logger;
  readonly now: () => number;
}

const MINUTE_MS = 60_000;

/** What the acting keeper does, all of it safe to repeat. */
export const createJobs = ({shards, log, now}: JobsOptions): readonly Job[] => {
  const partitions: Job = {
    name: 'partitions',
    everyMs: 60 * MINUTE_MS,
    run: (signal) =>
      onEveryShard(shards, signal, async (shardId) => {
        const days = daysAround(now(), PARTITION_DAYS.from, PARTITION_DAYS.to);
        const created = await ensurePartitions(shards.pool(shardId, 'job'), days);
        if (created.length > 0) log.info({shard: shardId, created}, 'made day partitions ahead');
      }),
  };
  const statuses: Job = {
    name: 'statuses',
    everyMs: MINUTE_MS,
    run: (signal) =>
      onEveryShard(shards, signal, async (shardId) => {
        const changed = await sweepStatuses(shards, shardId, now());
        if (changed > 0) log.info({shard: shardId, changed}, 'devices changed status by time');
      }),
  };
  return [partitions, statuses];
};

/**
 * Each shard has its turn, also when another one is away, until the signal aborts: shards that are away take seconds each, and a keeper that
 * is told to stop has few. @throws AppError that names the shards that failed.
 */
const onEveryShard = async (
  shards: Shards,
  signal: AbortSignal,
  work: (shardId: number) => Promise<void>,
): Promise<void> => {
  const failures: string[] = [];
  for (const shardId of shards.ids()) {
    if (signal.aborted) break;
    try {
      await work(shardId);
    } catch (error) {
      failures.push(`shard ${shardId}: ${describeError(error)}`);
    }
  }
  if (failures.length > 0) throw new AppError('shard-unavailable', failures.join('; '));
};

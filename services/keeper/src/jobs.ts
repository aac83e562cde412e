import {describeError, AppError} from '@pisync/core/errors/app-error';
import {sweepStatuses} from '@pisync/core/devices/status-sweep';
import {daysAround, ensurePartitions, PARTITION_DAYS} from '@pisync/core/shards/partitions';
import {type Fence, type KeeperTerms} from '@pisync/core/shards/keeper-term';
import {type Shards} from '@pisync/core/shards/shards';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Job} from './schedule.ts';

export interface JobsOptions {
  readonly shards: Shards;
  readonly terms: KeeperTerms;
  readonly log: Logger;
  readonly now: () => number;
  /** How long a turn waits for a shard that begins no transaction. Default: less than the shortest interval. */
  readonly patienceMs?: number;
}

const MINUTE_MS = 60_000;

/** What the acting keeper does, all of it safe to repeat, and on each shard within its term. */
export const createJobs = (options: JobsOptions): readonly Job[] => {
  const {shards, log, now} = options;
  const partitionsOf = createTurns(options);
  const statusesOf = createTurns(options);
  const partitions: Job = {
    name: 'partitions',
    everyMs: 60 * MINUTE_MS,
    run: (signal) =>
      partitionsOf(signal, async (shardId, fence) => {
        const days = daysAround(now(), PARTITION_DAYS.from, PARTITION_DAYS.to);
        const created = await ensurePartitions(shards.pool(shardId, 'job'), days, fence);
        if (created.length > 0) log.info({shard: shardId, created}, 'made day partitions ahead');
      }),
  };
  const statuses: Job = {
    name: 'statuses',
    everyMs: MINUTE_MS,
    run: (signal) =>
      statusesOf(signal, async (shardId, fence) => {
        const {changed, notOwned} = await sweepStatuses(shards, shardId, {nowMs: now(), fence, signal});
        if (changed > 0) log.info({shard: shardId, changed}, 'devices changed status by time');
        if (notOwned.length > 0)
          log.warn(
            {shard: shardId, slots: notOwned},
            'the statuses of slots wait, because the shard does not own them',
          );
      }),
  };
  return [partitions, statuses];
};

type Work = (shardId: number, fence: Fence) => Promise<void>;

/** Some at once, so that many are looked after within a minute. */
const AT_ONCE = 4;
const PATIENCE_MS = 20_000;

/**
 * Gives each shard its turn until the signal aborts, whatever the others do. One that does not get on goes on by itself, fenced as before, and
 * has no other turn until it ends. @throws AppError that names the shards that failed
 */
const createTurns = ({shards, terms, patienceMs = PATIENCE_MS}: JobsOptions) => {
  const busy = new Set<number>();

  const begin = async (shardId: number, signal: AbortSignal, work: Work, onProgress: () => void): Promise<void> => {
    busy.add(shardId);
    try {
      const fence = await terms.fenceOf(shardId);
      if (signal.aborted) return;
      // Each transaction asks for it.
      await work(shardId, (client) => {
        onProgress();
        return fence(client);
      });
    } finally {
      busy.delete(shardId);
    }
  };

  const turn = async (shardId: number, signal: AbortSignal, work: Work): Promise<void> => {
    if (busy.has(shardId)) throw new AppError('shard-unavailable', 'has not answered since an earlier turn');
    const ended = new AbortController();
    const stop = AbortSignal.any([signal, ended.signal]);
    let untilMs = performance.now() + patienceMs;
    const onProgress = (): void => void (untilMs = performance.now() + patienceMs);
    const begun = begin(shardId, signal, work, onProgress).finally(() => ended.abort());
    const waitForIt = async (): Promise<void> => {
      for (;;) {
        const restMs = untilMs - performance.now();
        if (restMs <= 0) throw new AppError('shard-unavailable', `has not answered for ${patienceMs / 1000} s`);
        await sleep(restMs, stop);
        if (stop.aborted) return;
      }
    };
    // When the turn is stopped it is not waited for; its own end decides otherwise.
    begun.catch(() => undefined);
    await waitForIt();
    if (ended.signal.aborted) await begun;
  };

  return async (signal: AbortSignal, work: Work): Promise<void> => {
    const failures: {readonly shardId: number; readonly reason: string}[] = [];
    const waiting = [...shards.ids()];
    const next = async (): Promise<void> => {
      for (let shardId = waiting.shift(); shardId !== undefined && !signal.aborted; shardId = waiting.shift()) {
        try {
          await turn(shardId, signal, work);
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
};

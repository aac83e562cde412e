import {CONTROL_SHARD, type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {Gauge, type Registry} from 'prom-client';
import {type ActingOptions, whileActing} from './acting.ts';
import {createAuditJobs} from './audit.ts';
import {createControlJobs, createJobs} from './jobs.ts';
import {runJobs, type ScheduleOptions} from './schedule.ts';

export interface KeepShardsOptions extends Pick<ActingOptions, 'newHolder' | 'intervalMs' | 'patienceMs'> {
  readonly shards: Pick<Shards, 'ids' | 'pool'>;
  /** What the audit chain is signed with. */
  readonly readAuditKey: () => Promise<string>;
  readonly schedule: ScheduleOptions;
  readonly log: Logger;
  readonly registry: Registry;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface KeptShards {
  /** Begins with shards that the topology has got since. */
  follow(): void;
  /** Gives up all of them, without waiting for one that hangs. */
  stop(): Promise<void>;
}

/** Looks after each shard by itself: whether it is this keeper that acts for it, and what it does then, depends on that shard alone. */
export const keepShards = (options: KeepShardsOptions): KeptShards => {
  const {shards, schedule, registry, now, readAuditKey} = options;
  const acting = new Gauge({
    name: 'pisync_keeper_acting',
    help: '1 while this keeper acts for the shard, 0 while it does not; a shard for which none acts is not kept',
    labelNames: ['shard'] as const,
    registers: [registry],
  });
  const doneAt = new Gauge({
    name: 'pisync_keeper_job_done_timestamp_seconds',
    help: 'When this keeper was last done with a job of the shard',
    labelNames: ['shard', 'job'] as const,
    registers: [registry],
  });
  const stopping = new AbortController();
  const kept = new Map<number, Promise<void>>();

  const keep = (shardId: number): Promise<void> => {
    const log = options.log.child({shard: shardId});
    const pool = () => shards.pool(shardId, 'job');
    const onChange = (isActing: boolean): void => acting.set({shard: shardId}, isActing ? 1 : 0);
    onChange(false);
    return whileActing(
      {...options, shardId, pool, log, sleep: schedule.sleep, onChange},
      stopping.signal,
      (signal, fence) => {
        const ofShard = {pool, fence, log};
        const ofRegion =
          shardId === CONTROL_SHARD
            ? [...createControlJobs(ofShard), ...createAuditJobs({shards, fence, readKey: readAuditKey, log})]
            : [];
        return runJobs([...createJobs(ofShard), ...ofRegion], signal, {
          ...schedule,
          log,
          onRun(job, outcome, seconds) {
            schedule.onRun(job, outcome, seconds);
            if (outcome === 'ok') doneAt.set({shard: shardId, job}, now() / 1000);
          },
        });
      },
    );
  };
  const follow = (): void => {
    if (stopping.signal.aborted) return;
    for (const id of shards.ids()) if (!kept.has(id)) kept.set(id, keep(id));
  };
  follow();
  return {
    follow,
    async stop() {
      stopping.abort();
      await Promise.all(kept.values());
    },
  };
};

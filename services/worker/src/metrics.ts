import {Counter, Gauge, Histogram, type Registry} from 'prom-client';
import {recordCount} from './apply/batch.ts';
import {type Written} from './apply/shard-writer.ts';

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** What is measured by looking. */
export interface WorkerGauges {
  /** When the oldest batch in hand was accepted, or undefined with empty hands. */
  readonly oldestAtMs: () => number | undefined;
  /** The shards that this worker has had to do with. */
  readonly shards: () => readonly {readonly shardId: number; readonly isAway: boolean}[];
  /** How many queues could not be consumed. */
  readonly leftOut: () => number;
}

export const createWorkerMetrics = (registry: Registry, now: () => number, gauges: WorkerGauges) => {
  const registers = [registry];
  new Gauge({
    name: 'pisync_worker_in_hand_age_seconds',
    help: 'Age of the oldest accepted batch that this worker has in hand; what waits on the broker is in pisync_broker_waiting_messages',
    registers,
    collect() {
      const oldest = gauges.oldestAtMs();
      this.set(oldest === undefined ? 0 : Math.max(0, now() - oldest) / 1000);
    },
  });
  new Gauge({
    name: 'pisync_worker_shard_away',
    help: '1 while this worker parks the batches of a shard, because the shard does not answer',
    labelNames: ['shard'] as const,
    registers,
    collect() {
      for (const {shardId, isAway} of gauges.shards()) this.set({shard: shardId}, isAway ? 1 : 0);
    },
  });
  new Gauge({
    name: 'pisync_worker_queues_left_out',
    help: 'Queues that this worker could not begin to consume, because they have no leader for instance; one that loses its leader later is not among them',
    registers,
    collect() {
      this.set(gauges.leftOut());
    },
  });
  return {
    batches: new Counter({
      name: 'pisync_worker_batches_total',
      help: 'Batches by what became of them: applied, rejected, duplicate, conflict, unproved, retried, parked (put aside while their shard is away)',
      labelNames: ['outcome'] as const,
      registers,
    }),
    records: new Counter({name: 'pisync_worker_records_total', help: 'Records applied', registers}),
    quarantined: new Counter({
      name: 'pisync_worker_quarantined_total',
      help: 'Things put into quarantine by kind: record, batch, conflict, unproved, message',
      labelNames: ['kind'] as const,
      registers,
    }),
    pauses: new Counter({
      name: 'pisync_worker_pauses_total',
      help: 'Times that a shard stopped answering, for however short, and applying to it waited',
      labelNames: ['shard'] as const,
      registers,
    }),
    windowSeconds: new Histogram({
      name: 'pisync_worker_window_seconds',
      help: 'Time of one attempt to apply a window of batches to its shard',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    }),
    windowRecords: new Histogram({
      name: 'pisync_worker_window_records',
      help: 'Weight of a window: its records, and one for each batch without any',
      buckets: [1, 5, 20, 50, 100, 250, 500, 1000, 2000],
      registers,
    }),
    lagSeconds: new Histogram({
      name: 'pisync_worker_lag_seconds',
      help: 'Time from the acceptance of the oldest batch that a transaction applied to its commit',
      buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800],
      registers,
    }),
    requests: new Counter({
      name: 'pisync_worker_sync_requests_total',
      help: 'Sync requests by what became of them: stored, unknown (no such device), invalid',
      labelNames: ['outcome'] as const,
      registers,
    }),
  };
};

/** Counts what transactions made of their batches. */
export const countWritten = (
  metrics: Pick<WorkerMetrics, 'batches' | 'records' | 'quarantined' | 'lagSeconds'>,
  written: readonly Written[],
  nowMs: number,
): void => {
  for (const {applied, duplicates, conflicts, unproved} of written) {
    const rejected = applied.filter(({content}) => content.kind === 'rejected').length;
    const bad = applied.reduce((sum, {content}) => sum + (content.kind === 'good' ? content.bad.length : 0), 0);
    if (applied.length > 0) {
      const oldestAtMs = Math.min(...applied.map(({receivedAtMs}) => receivedAtMs));
      metrics.lagSeconds.observe(Math.max(0, nowMs - oldestAtMs) / 1000);
    }
    metrics.batches.inc({outcome: 'applied'}, applied.length - rejected);
    metrics.batches.inc({outcome: 'rejected'}, rejected);
    metrics.batches.inc({outcome: 'duplicate'}, duplicates.length);
    metrics.batches.inc({outcome: 'conflict'}, conflicts.length);
    metrics.batches.inc({outcome: 'unproved'}, unproved.length);
    metrics.records.inc(applied.reduce((sum, batch) => sum + recordCount(batch), 0));
    metrics.quarantined.inc({kind: 'record'}, bad);
    metrics.quarantined.inc({kind: 'batch'}, rejected);
    metrics.quarantined.inc({kind: 'conflict'}, conflicts.length);
    metrics.quarantined.inc({kind: 'unproved'}, unproved.length);
  }
};

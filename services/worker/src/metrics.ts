import {Counter, Gauge, Histogram, type Registry} from 'prom-client';

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** @param oldestAtMs when the oldest batch in hand was accepted, or undefined with empty hands. */
export const createWorkerMetrics = (registry: Registry, now: () => number, oldestAtMs: () => number | undefined) => {
  const registers = [registry];
  new Gauge({
    name: 'pisync_worker_backlog_age_seconds',
    help: 'Age of the oldest accepted batch that this worker holds and has not applied',
    registers,
    collect() {
      const oldest = oldestAtMs();
      this.set(oldest === undefined ? 0 : Math.max(0, now() - oldest) / 1000);
    },
  });
  return {
    batches: new Counter({
      name: 'pisync_worker_batches_total',
      help: 'Batches by what became of them: applied, rejected, duplicate, conflict, retried',
      labelNames: ['outcome'] as const,
      registers,
    }),
    records: new Counter({name: 'pisync_worker_records_total', help: 'Records applied', registers}),
    quarantined: new Counter({
      name: 'pisync_worker_quarantined_total',
      help: 'Things put into quarantine by kind: record, batch, conflict, message',
      labelNames: ['kind'] as const,
      registers,
    }),
    pauses: new Counter({
      name: 'pisync_worker_pauses_total',
      help: 'Times that a fault of the system, not of a batch, made applying wait',
      labelNames: ['shard'] as const,
      registers,
    }),
    windowSeconds: new Histogram({
      name: 'pisync_worker_window_seconds',
      help: 'Time to apply one window of batches on all shards it touches',
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
      help: 'Time from the acceptance of the oldest batch of a window to its commit',
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

/**
 * Connections that one process of a service opens at most to each shard, by class of work. Services make their pools of it, and the operator gives shards
 * room for the sum.
 */
export const CONNECTIONS = {
  /** Ingest: credentials and positions that no cache knows, enrolments, last-seen times. */
  deviceApi: {ingest: 8, dashboard: 1, job: 1},
  /** Ingest: who calls, and the names of groups. Dashboard: what people look at. */
  adminApi: {ingest: 2, dashboard: 8, job: 1},
  keeper: {ingest: 2, dashboard: 1, job: 4},
  /** Ingest: one for each window at work, and one more each for parked batches, for those that come again, and for sync requests, which the slot map shares. */
  worker: (concurrency: number) => ({ingest: concurrency + 3, dashboard: 1, job: 2}),
} as const;

/** Of a migration to its own shard. */
export const MIGRATION_CONNECTIONS = 3;
/** Of every other shard's migration to shard 0, which has the slot map. */
export const MIGRATION_CONTROL_CONNECTIONS = 2;

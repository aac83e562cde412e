import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {type Fence} from './keeper-term.ts';
import {DAY_TABLES} from './sharded-tables.ts';
import {withConnection} from './with-connection.ts';

const DAY_MS = 86_400_000;
/** One creator at a time per database ("PP" in ASCII). */
const PARTITION_LOCK = 0x5050;

/** The UTC day of an instant, `YYYY-MM-DD`. */
export const dayOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);

/** Those that are made ahead: yesterday, because a batch keeps the day of its arrival; a week ahead, so that the keeper may be away for days. */
export const PARTITION_DAYS = {from: -1, to: 7} as const;

/** The days from `from` to `to` (offsets in days, both included) around an instant. */
export const daysAround = (atMs: number, from: number, to: number): readonly string[] =>
  Array.from({length: to - from + 1}, (_, index) => dayOf(atMs + (from + index) * DAY_MS));

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** @throws RangeError unless the day is `YYYY-MM-DD`; the name goes into SQL text, where no parameter can stand. */
export const partitionName = (table: string, day: string): string => {
  if (!DAY.test(day) || Number.isNaN(Date.parse(day))) throw new RangeError(`"${day}" is not a day`);
  return `${table}_${day.replaceAll('-', '')}`;
};

export interface EnsureOptions {
  /** Of the keeper; workers and migrations make what they need at once, which does no harm. */
  readonly fence?: Fence;
  /** Milliseconds since 1970, by the clock that the days come from. Nothing is made where the server's says another day. */
  readonly nowMs?: number;
  /** When it aborts the connection is cut. */
  readonly signal?: AbortSignal;
}

/**
 * Creates what is missing of the day partitions of all tables that have some, and returns the days. Each is built aside and then attached, which asks
 * for a lock that lets writers go on; `create table ... partition of` would stop them.
 * @throws AppError `unavailable` where `nowMs` is not what the server's clock says.
 */
export const ensurePartitions = (
  pool: pg.Pool,
  days: readonly string[],
  {fence, nowMs, signal}: EnsureOptions = {},
): Promise<readonly string[]> =>
  withConnection(pool, signal, async (client) => {
    if (nowMs !== undefined) await checkClock(client, nowMs);
    return createMissing(client, days, fence);
  });

/** {@link ensurePartitions} of {@link PARTITION_DAYS}, by the server's clock: a process whose clock is wrong makes no days that nobody needs, and none too few. */
export const ensurePartitionsAhead = (
  pool: pg.Pool,
  {fence, signal}: Pick<EnsureOptions, 'fence' | 'signal'> = {},
): Promise<readonly string[]> =>
  withConnection(pool, signal, async (client) =>
    createMissing(client, daysAround(await serverTimeMs(client), PARTITION_DAYS.from, PARTITION_DAYS.to), fence),
  );

const createMissing = async (
  client: pg.PoolClient,
  days: readonly string[],
  fence: Fence | undefined,
): Promise<readonly string[]> => {
  const names = days.flatMap((day) => DAY_TABLES.map((table) => partitionName(table, day)));
  const found = await client.query<{name: string}>(
    `select child.relname as name from pg_inherits join pg_class child on child.oid = inhrelid
       where inhparent = any($1::regclass[]) and child.relname = any($2)`,
    [DAY_TABLES, names],
  );
  const existing = new Set(found.rows.map(({name}) => name));
  const created: string[] = [];
  for (const day of days) {
    if (DAY_TABLES.every((table) => existing.has(partitionName(table, day)))) continue;
    if (await createPartitions(client, day, fence)) created.push(day);
  }
  return created;
};

const serverTimeMs = async (client: pg.PoolClient): Promise<number> => {
  const {rows} = await client.query<{nowMs: number}>('select (extract(epoch from now()) * 1000)::float8 as "nowMs"');
  return rows[0]?.nowMs ?? NaN;
};

/** Nobody can say which of two clocks is wrong. Less than a day apart is no matter: so far the days of two servers differ around midnight. */
const checkClock = async (client: pg.PoolClient, nowMs: number): Promise<void> => {
  const serverMs = await serverTimeMs(client);
  if (Math.abs(serverMs - nowMs) <= DAY_MS) return;
  throw new AppError(
    'unavailable',
    `it is ${dayOf(nowMs)} by the clock of this process and ${dayOf(serverMs)} by that of the shard: one of them is wrong`,
  );
};

const createPartitions = async (client: pg.PoolClient, day: string, fence: Fence | undefined): Promise<boolean> => {
  const next = dayOf(Date.parse(day) + DAY_MS);
  let hasCreated = false;
  await client.query('begin');
  await client.query(`set local lock_timeout = '5s'`);
  await fence?.(client);
  await client.query('select pg_advisory_xact_lock($1)', [PARTITION_LOCK]);
  for (const table of DAY_TABLES) {
    const name = partitionName(table, day);
    const attached = await client.query(`select 1 from pg_inherits where inhrelid = to_regclass($1)`, [name]);
    if (attached.rowCount !== 0) continue;
    await client.query(`create table if not exists ${name} (like ${table} including all)`);
    await client.query(`alter table ${table} attach partition ${name} for values from ('${day}') to ('${next}')`);
    hasCreated = true;
  }
  await client.query('commit');
  return hasCreated;
};

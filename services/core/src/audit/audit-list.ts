import type pg from 'pg';
import type {Scope} from '../devices/scope.ts';
import {AUDIT_COLUMNS, type AuditRow} from './audit-row.ts';

/** Where a list of entries goes on: the newest are first. */
export interface AuditPlace {
  readonly at: string;
  readonly id: string;
}

export interface AuditQuery {
  readonly scope: Scope;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly objectKind?: string | undefined;
  readonly objectId?: string | undefined;
  /** Not before this. */
  readonly since?: string | undefined;
  /** Before this. */
  readonly until?: string | undefined;
}

export interface AuditPage<Row> {
  readonly rows: readonly Row[];
  /** How far was looked, where there is more although these are fewer than asked for. */
  readonly end: AuditPlace | undefined;
}

/** So many entries are looked at for a page. To read them takes some ten milliseconds. */
const EXAMINED = 5_000;

/** An entry of the chain in a list. */
export interface ListedRow extends AuditRow {
  /** Null: not chained yet. */
  readonly seq: number | null;
  readonly fromShard: number;
  readonly mac: Buffer | null;
}

interface Source {
  readonly table: 'control.audit' | 'audit_outbox';
  /** SQL of what {@link ListedRow} has beside {@link AuditRow}. */
  readonly columns: string;
  /** Columns that have an index which ends in `at, entry_id`. */
  readonly indexed: ReadonlySet<string>;
}

const CHAIN: Source = {
  table: 'control.audit',
  columns: 'seq, shard as "fromShard", mac',
  indexed: new Set(['object_id', 'actor', 'action']),
};
const outbox = (shard: number): Source => ({
  table: 'audit_outbox',
  columns: `null::bigint as seq, ${shard}::int as "fromShard", null::bytea as mac`,
  indexed: new Set(),
});

/** The newest first, those before a place. Few are looked at, whatever is asked for. */
const page = async (
  pool: pg.Pool,
  {table, columns, indexed}: Source,
  query: AuditQuery,
  before: AuditPlace | undefined,
  limit: number,
): Promise<AuditPage<ListedRow>> => {
  const values: unknown[] = [];
  const put = (value: unknown): string => `$${values.push(value)}`;
  const wanted = Object.entries({
    object_id: query.objectId,
    actor: query.actor,
    action: query.action,
    object_kind: query.objectKind,
  }).filter(([, value]) => value !== undefined);
  // One of them finds the entries; the others are asked of what it finds.
  const key = wanted.find(([column]) => indexed.has(column));
  const within = [
    ...(key === undefined ? [] : [`${key[0]} = ${put(key[1])}`]),
    ...(before === undefined ? [] : [`(at, entry_id) < (${put(before.at)}::timestamptz, ${put(before.id)}::uuid)`]),
    ...(query.since === undefined ? [] : [`at >= ${put(query.since)}::timestamptz`]),
    ...(query.until === undefined ? [] : [`at < ${put(query.until)}::timestamptz`]),
  ];
  const examined = `from ${table} ${within.length === 0 ? '' : `where ${within.join(' and ')}`} order by at desc, entry_id desc`;
  const ofExamined = values.length;
  const residual = [
    ...wanted.filter((one) => one !== key).map(([column, value]) => `e.${column} = ${put(value)}`),
    ...(query.scope === undefined ? [] : [`e.group_ids <@ ${put(query.scope)}::int[]`]),
  ];
  // Not prepared: which index is best depends on the values.
  const found = await pool.query<ListedRow>(
    `select ${AUDIT_COLUMNS}, ${columns} from (select * ${examined} limit ${EXAMINED}) e
     ${residual.length === 0 ? '' : `where ${residual.join(' and ')}`} order by e.at desc, e.entry_id desc limit ${put(limit)}`,
    values,
  );
  if (found.rows.length === limit) return {rows: found.rows, end: undefined};
  const last = await pool.query<AuditPlace>(
    `select to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, e.entry_id as id
     from (select at, entry_id ${examined} offset ${EXAMINED - 1} limit 1) e`,
    values.slice(0, ofExamined),
  );
  return {rows: found.rows, end: last.rows[0]};
};

/** Entries of the chain. */
export const listChained = (
  control: pg.Pool,
  query: AuditQuery,
  before: AuditPlace | undefined,
  limit: number,
): Promise<AuditPage<ListedRow>> => page(control, CHAIN, query, before, limit);

/** Entries of a shard that wait to be chained. To be read before the chain: what is chained meanwhile is then in both, and not in neither. */
export const listPending = (
  pool: pg.Pool,
  shard: number,
  query: AuditQuery,
  before: AuditPlace | undefined,
  limit: number,
): Promise<AuditPage<ListedRow>> => page(pool, outbox(shard), query, before, limit);

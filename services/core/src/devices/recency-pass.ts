import type pg from 'pg';
import {SLOTS} from '@pisync/contract/slots';
import {type Fence} from '../shards/keeper-term.ts';
import {deviceKeyOf} from '../shards/slot.ts';
import {withConnection} from '../shards/with-connection.ts';

export interface RecencyPassOptions {
  readonly fence: Fence;
  /** When it aborts the connection is cut. */
  readonly signal?: AbortSignal;
}

/** So many transactions where any device may have to be written: of a million devices each takes some seconds. */
const PARTS = 16;

interface Start {
  /** Of the pass before; 0 where all is to be looked at. */
  readonly since: number;
  readonly horizon: number;
  readonly asOf: string;
  readonly isSoon: boolean;
}

interface Part {
  readonly changed: number;
  /** The first transaction of which a device was passed over; null: none was. */
  readonly heldSince: number | null;
}

/**
 * Brings `device_recency` up to `device_state`: of the devices that were written since the pass before, and of all where there was none. What a transaction wrote that was not over when it began
 * is looked at again, and so is a device whose row somebody has. A horizon that the database has not come to yet is of another one, from which this was copied, and says nothing.
 *
 * @returns how many rows changed
 */
export const bringRecencyUpToDate = (pool: pg.Pool, {fence, signal}: RecencyPassOptions): Promise<number> =>
  withConnection(pool, signal, async (client) => {
    const write = async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> => {
      await client.query('begin');
      await fence(client);
      const {rows} = await client.query<Row>(text, [...values]);
      await client.query('commit');
      return rows;
    };
    // Before anything is looked at: what is written meanwhile is of the next pass.
    const {rows} = await client.query<Start>(START);
    const [start] = rows;
    if (start === undefined) throw new Error('the shard does not say where its recency stands');
    // Within an hour few devices have called, and all rows are read one after the other.
    const parts = start.isSoon ? 1 : PARTS;
    let changed = 0;
    let {horizon} = start;
    for (let part = 0; part < parts; part++) {
      const [first, end] = [part, part + 1].map((place) => deviceKeyOf((place * SLOTS) / parts, 0));
      for (const done of await write<Part>(PART, [start.since, first, end])) {
        changed += done.changed;
        horizon = Math.min(horizon, done.heldSince ?? horizon);
      }
    }
    await write(PASSED, [start.asOf, horizon]);
    return changed;
  });

const START = `
  select coalesce(p.horizon, 0)::bigint as since, pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon, now()::text as "asOf",
         coalesce(p.as_of > now() - interval '1 hour', false) as "isSoon"
  from (select) one left join recency_pass p on p.horizon <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint`;

// Ids and rows of few devices are looked up: a join would read all of them. It has no name, so that it is planned for its values. A row is locked only if it changes, because that is a write.
const PART = `
  with called as materialized (
    select s.device_key, s.tx_id, s.last_sync_at, s.last_seen_at,
           (select d.device_id from device d where d.device_key = s.device_key) as device_id,
           (select (r.last_sync_at, r.last_seen_at) is distinct from (s.last_sync_at, s.last_seen_at)
            from device_recency r where r.device_key = s.device_key) as differs
    from device_state s where s.tx_id >= $1 and s.device_key >= $2 and s.device_key < $3),
  free as materialized (
    select c.device_key, c.last_sync_at, c.last_seen_at
    from called c cross join lateral (select from device_recency r where r.device_key = c.device_key for update skip locked) r
    where c.differs and c.device_id is not null),
  changed as (
    update device_recency r set last_sync_at = free.last_sync_at, last_seen_at = free.last_seen_at
    from free where r.device_key = free.device_key returning r.device_key),
  made as (
    insert into device_recency (device_key, device_id, last_sync_at, last_seen_at)
    select device_key, device_id, last_sync_at, last_seen_at from called where differs is null and device_id is not null order by device_key
    on conflict (device_key) do nothing returning device_key)
  select (select count(*) from changed) + (select count(*) from made) as changed,
         (select min(tx_id) from called where differs and device_id is not null and device_key not in (select device_key from free)) as "heldSince"`;

const PASSED = `
  insert into recency_pass (as_of, horizon) values ($1::timestamptz, $2)
  on conflict (one) do update set as_of = excluded.as_of, horizon = excluded.horizon`;

import type pg from 'pg';
import {type Fence} from '../shards/keeper-term.ts';
import {withConnection} from '../shards/with-connection.ts';

export interface RecencyPassOptions {
  readonly fence: Fence;
  /** When it aborts the connection is cut. */
  readonly signal?: AbortSignal;
}

/**
 * Brings `device_recency` up to `device_state`: of the devices that were written since the pass before, and of all where there was none. What a transaction wrote that was not over then
 * is looked at again. A horizon that the database has not come to yet is of another one, from which this was copied, and says nothing.
 *
 * @returns how many rows changed
 */
export const bringRecencyUpToDate = (pool: pg.Pool, {fence, signal}: RecencyPassOptions): Promise<number> =>
  withConnection(pool, signal, async (client) => {
    await client.query('begin');
    await fence(client);
    const {rows} = await client.query<{changed: number}>({
      name: 'recency-pass',
      // The id of few devices is looked up: a join would read all of them.
      text: `with called as (
               select s.device_key, s.last_sync_at, s.last_seen_at,
                      (select d.device_id from device d where d.device_key = s.device_key) as device_id
               from device_state s
               where s.tx_id >= coalesce((select horizon from recency_pass where horizon <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint), 0)),
             changed as (
               insert into device_recency as r (device_key, device_id, last_sync_at, last_seen_at)
               select device_key, device_id, last_sync_at, last_seen_at from called where device_id is not null order by device_key
               on conflict (device_key) do update set last_sync_at = excluded.last_sync_at, last_seen_at = excluded.last_seen_at
               where (r.last_sync_at, r.last_seen_at) is distinct from (excluded.last_sync_at, excluded.last_seen_at)
               returning 1),
             passed as (
               insert into recency_pass (as_of, horizon) values (now(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
               on conflict (one) do update set as_of = excluded.as_of, horizon = excluded.horizon)
             select count(*) as changed from changed`,
    });
    await client.query('commit');
    return rows[0]?.changed ?? 0;
  });

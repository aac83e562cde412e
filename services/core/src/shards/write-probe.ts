import type pg from 'pg';
import {withTimeout} from '../lifecycle/lifecycle.ts';

/** One connection to a shard. */
export type ShardClient = pg.ClientBase;

/** More rows than 64 kB of memory hold: the server puts some 300 kB of them into a file beside its tables, and removes it with the statement. */
const SPILLED_ROWS = 20_000;

/**
 * Does what a write does and leaves nothing behind. A file beside the tables has to grow, which a full disk does not let it; the log of writes alone has room
 * in files that exist. Then a message in that log, which is flushed, and waited for at the standbys, like any row: a server that may only read, and a standby
 * that does not exist, keep it from ending. (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION)
 */
export const commitProbe = async (client: ShardClient): Promise<void> => {
  await client.query(
    `begin; set local work_mem = '64kB'; select count(*) from generate_series(1, ${SPILLED_ROWS});
     select pg_logical_emit_message(true, 'pisync.probe', ''); commit`,
  );
};

/**
 * Works with one connection for `ms` at most. A server that hangs keeps what it was asked: the socket is cut, and the session is ended from another
 * connection, because one that waits for a standby does not notice; a session more at each look would soon be all that the server has.
 */
export const withinDeadline = async <T>(
  pool: pg.Pool,
  ms: number,
  work: (client: ShardClient) => Promise<T>,
): Promise<T> => {
  // Bounded by the pool's own time for a connection.
  const client = await pool.connect();
  let session: Session | undefined;
  const begin = async (): Promise<T> => {
    const found = await client.query<Session>(
      'select pid, backend_start::text as began from pg_stat_activity where pid = pg_backend_pid()',
    );
    session = found.rows[0];
    return work(client);
  };
  const working = begin();
  try {
    const done = await withTimeout(working, ms, `it did not answer within ${ms / 1000} s`);
    client.release();
    return done;
  } catch (error) {
    // What is cut off rejects as well, when nobody listens any more.
    working.catch(() => undefined);
    client.connection.stream.destroy();
    client.release(true);
    if (session !== undefined) await endSession(pool, session, ms);
    throw error;
  }
};

/** A process of the server has its id from the system, which gives it to another one as soon as this has ended. */
export interface Session {
  readonly pid: number;
  /** In the server's own words, because it is more exact than a Date. */
  readonly began: string;
}

export const endSession = (pool: pg.Pool, {pid, began}: Session, ms: number): Promise<unknown> => {
  const text =
    'select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2::timestamptz';
  return withTimeout(pool.query(text, [pid, began]), ms, 'nobody ended the session').catch(() => undefined);
};

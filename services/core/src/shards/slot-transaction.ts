import type pg from 'pg';
import {allAnswered} from './all-answered.ts';

/**
 * First key of the two-key advisory locks on slots ("PS" in ASCII); the second key is the slot. Writers hold a slot's lock
 * shared, whoever moves the slot away takes it exclusively.
 */
const SLOT_LOCK_CLASS = 0x5053;

/** What a transaction on slots came to. `moved` names the slots that this shard does not own; nothing was written. */
export type SlotVerdict<T> =
  {readonly kind: 'done'; readonly value: T} | {readonly kind: 'moved'; readonly slots: readonly number[]};

const rollback = async (client: pg.PoolClient): Promise<Error | undefined> => {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

/**
 * Runs `work` in one transaction that nobody can move these slots away from: their locks are taken shared, in ascending
 * order, and only then, in a statement of its own whose snapshot is younger than the locks, ownership is looked at.
 * @param deadline when it aborts the connection is cut, and the outcome is whatever the server makes of it; for callers that cannot
 * wait for a server that takes what it is sent and never answers.
 * @throws what `work` or the database threw, after a roll back.
 */
export const withOwnedSlots = async <T>(
  pool: pg.Pool,
  slots: readonly number[],
  work: (client: pg.PoolClient) => Promise<T>,
  deadline?: AbortSignal,
): Promise<SlotVerdict<T>> => {
  const sorted = [...new Set(slots)].sort((a, b) => a - b);
  const client = await pool.connect();
  // client.end() would wait for the answers; without its socket everything that waits is refused.
  const cut = (): void => void client.connection.stream.destroy();
  deadline?.addEventListener('abort', cut);
  let broken: Error | undefined;
  try {
    deadline?.throwIfAborted();
    // Sent in one go and run one after the other.
    const [, , owned] = await allAnswered([
      client.query('begin'),
      client.query({
        name: 'slots-lock',
        text: `select count(pg_advisory_xact_lock_shared(${SLOT_LOCK_CLASS}, slot)) from unnest($1::int[]) slot`,
        values: [sorted],
      }),
      client.query<{slot: number}>({
        name: 'slots-owned',
        text: `select slot from slot_owner where slot = any($1::smallint[]) and state = 'owned'`,
        values: [sorted],
      }),
    ]);
    if (owned.rows.length < sorted.length) {
      broken = await rollback(client);
      const here = new Set(owned.rows.map(({slot}) => slot));
      return {kind: 'moved', slots: sorted.filter((slot) => !here.has(slot))};
    }
    const value = await work(client);
    await client.query('commit');
    return {kind: 'done', value};
  } catch (error) {
    broken = await rollback(client);
    throw error;
  } finally {
    deadline?.removeEventListener('abort', cut);
    client.release(broken);
  }
};

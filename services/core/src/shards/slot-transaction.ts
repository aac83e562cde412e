import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {allAnswered, inOneGo} from './all-answered.ts';
import {isStaleConnection} from './database-fault.ts';

/**
 * First key of the two-key advisory locks on slots ("PS" in ASCII); the second key is the slot. Writers hold a slot's lock
 * shared, whoever moves the slot away takes it exclusively.
 */
const SLOT_LOCK_CLASS = 0x5053;

/** What a transaction on slots came to. `moved` names the slots that this shard does not own; nothing was written. */
export type SlotVerdict<T> =
  {readonly kind: 'done'; readonly value: T} | {readonly kind: 'moved'; readonly slots: readonly number[]};

export interface SlotTransaction<Opened, T> {
  /** Its locks are taken shared, in ascending order. */
  readonly slots: readonly number[];
  /** Sends its first statements, in the same go as those that look at the slots: what they lock is let go when one is not owned. */
  readonly open: (client: pg.PoolClient) => Promise<Opened>;
  /** @param commit may be sent with the last statements, which saves a round trip; what is not committed by then is afterwards */
  readonly work: (client: pg.PoolClient, opened: Opened, commit: () => Promise<void>) => Promise<T>;
  /**
   * When it aborts the connection is cut, and the outcome is whatever the server makes of it; for callers that cannot wait for a
   * server that takes what it is sent and never answers.
   */
  readonly deadline?: AbortSignal | undefined;
}

const rollback = async (client: pg.PoolClient): Promise<Error | undefined> => {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

/**
 * Runs one transaction that nobody can move its slots away from: their locks come first, and only then, in a statement of its own whose
 * snapshot is younger than the locks, ownership is looked at.
 * @throws what `open`, `work` or the database threw, after a roll back.
 */
export const inSlotTransaction = async <Opened, T>(
  pool: pg.Pool,
  {slots, open, work, deadline}: SlotTransaction<Opened, T>,
): Promise<SlotVerdict<T>> => {
  const sorted = [...new Set(slots)].sort((a, b) => a - b);
  const client = await pool.connect();
  // client.end() would wait for the answers; without its socket everything that waits is refused.
  const cut = (): void => void client.connection.stream.destroy();
  deadline?.addEventListener('abort', cut);
  let broken: Error | undefined;
  let committing: Promise<void> | undefined;
  const commit = (): Promise<void> => {
    committing ??= client.query('commit').then(({command}) => {
      // So the server answers the end of a transaction in which a statement failed.
      if (command !== 'COMMIT') throw new AppError('internal', 'a transaction was rolled back instead of committed');
    });
    return committing;
  };
  try {
    deadline?.throwIfAborted();
    // Run one after the other.
    const opening = inOneGo(
      client,
      () =>
        [
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
          open(client),
        ] as const,
    );
    const [, , owned, opened] = await allAnswered(opening);
    if (owned.rows.length < sorted.length) {
      broken = await rollback(client);
      const here = new Set(owned.rows.map(({slot}) => slot));
      return {kind: 'moved', slots: sorted.filter((slot) => !here.has(slot))};
    }
    const value = await work(client, opened, commit);
    await commit();
    return {kind: 'done', value};
  } catch (error) {
    broken =
      (await rollback(client)) ??
      (isStaleConnection(error) ? new Error('a stale connection', {cause: error}) : undefined);
    throw error;
  } finally {
    deadline?.removeEventListener('abort', cut);
    client.release(broken);
  }
};

/** {@link inSlotTransaction} of statements that need no others before. */
export const withOwnedSlots = <T>(
  pool: pg.Pool,
  slots: readonly number[],
  work: (client: pg.PoolClient, commit: () => Promise<void>) => Promise<T>,
): Promise<SlotVerdict<T>> =>
  inSlotTransaction(pool, {
    slots,
    open: () => Promise.resolve(),
    work: (client, _opened, commit) => work(client, commit),
  });

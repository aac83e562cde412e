import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';

/** Lets a transaction go on only within the keeper's term, and until it ends no other term begins. @throws AppError `conflict` */
export type Fence = (client: pg.ClientBase) => Promise<void>;

export interface TermOptions {
  readonly shardId: number;
  /** Not used by anybody before, because a shard that is restored counts again. Whoever looks into the database sees it. */
  readonly holder: string;
  /** Called when somebody else has begun a term. */
  readonly onOver: () => void;
}

/**
 * Begins a term on a shard, in a row of its own that counts them: from now on no keeper from before writes there. Whatever a keeper writes, it writes in
 * a transaction that has found its own term. So one that was cut off or stood still, and does not know that another one acts, does no harm.
 *
 * @param client of the session that has the shard's lock
 */
export const beginTerm = async (
  client: pg.ClientBase,
  {shardId, holder, onOver}: TermOptions,
): Promise<{readonly fence: Fence}> => {
  const begun = await client.query<{term: number}>(
    `insert into keeper_term (term, holder) values (1, $1)
     on conflict (one) do update set term = keeper_term.term + 1, holder = excluded.holder, since = now() returning term`,
    [holder],
  );
  const values = [begun.rows[0]?.term, holder];
  return {
    async fence(writer) {
      const held = await writer.query({
        name: 'keeper-term',
        text: 'select from keeper_term where term = $1 and holder = $2 for share',
        values,
      });
      if (held.rowCount === 1) return;
      onOver();
      throw new AppError('conflict', `another keeper has begun to act for shard ${shardId}`);
    },
  };
};

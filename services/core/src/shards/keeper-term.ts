import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {type Shards} from './shards.ts';

/** Lets a transaction go on only for the keeper that acts for the shard, and until it ends no other one begins. @throws AppError `conflict` */
export type Fence = (client: pg.ClientBase) => Promise<void>;

/** What one keeper may write, for as long as it acts. */
export interface KeeperTerms {
  /** Begins a term of its own on the shard where it has none; from then on no keeper from before writes there. @throws when it does not act any more */
  fenceOf(shardId: number): Promise<Fence>;
}

export interface KeeperTermsOptions {
  readonly shards: Pick<Shards, 'pool'>;
  /** Not used by anybody before, because a shard that is restored counts again. Whoever looks into the database sees it. */
  readonly holder: string;
  /** Asks shard 0. @throws when this keeper does not have the lock any more */
  readonly stillActs: () => Promise<void>;
}

/**
 * The lock of the acting keeper is in shard 0, and one that was cut off or stood still writes to the others as long as it does not know. So each shard counts
 * who began, in a row of its own: whatever a keeper writes, it writes in a transaction that has found its own term there. One that finds another's begins
 * anew, if it still has the lock.
 */
export const createKeeperTerms = ({shards, holder, stillActs}: KeeperTermsOptions): KeeperTerms => {
  const begun = new Map<number, Promise<number>>();

  const begin = async (shardId: number): Promise<number> => {
    await stillActs();
    const found = await shards.pool(shardId, 'job').query<{term: number}>(
      `insert into keeper_term (term, holder) values (1, $1)
       on conflict (one) do update set term = keeper_term.term + 1, holder = excluded.holder, since = now() returning term`,
      [holder],
    );
    return found.rows[0]?.term ?? 0;
  };
  const termOf = (shardId: number): Promise<number> => {
    const known = begun.get(shardId);
    if (known !== undefined) return known;
    const term = begin(shardId);
    begun.set(shardId, term);
    term.catch(() => forget(shardId, term));
    return term;
  };
  const forget = (shardId: number, term: Promise<number>): void => {
    if (begun.get(shardId) === term) begun.delete(shardId);
  };

  return {
    async fenceOf(shardId) {
      const term = termOf(shardId);
      const values = [await term, holder];
      return async (client) => {
        const held = await client.query({
          name: 'keeper-term',
          text: 'select from keeper_term where term = $1 and holder = $2 for share',
          values,
        });
        if (held.rowCount === 1) return;
        forget(shardId, term);
        throw new AppError('conflict', `another keeper has begun to act for shard ${shardId}`);
      };
    },
  };
};

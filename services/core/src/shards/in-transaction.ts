import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {withConnection} from './with-connection.ts';

/** One transaction: what `work` wrote is there when it is done, and nothing of it when it throws. */
export const inTransaction = <T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
  withConnection(pool, undefined, async (client) => {
    await client.query('begin');
    const value = await work(client);
    const {command} = await client.query('commit');
    // So the server answers the end of a transaction in which a statement failed.
    if (command !== 'COMMIT') throw new AppError('internal', 'a transaction was rolled back instead of committed');
    return value;
  });

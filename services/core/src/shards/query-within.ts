import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {allAnswered, inOneGo} from './all-answered.ts';
import {isStatementEnded} from './database-fault.ts';

/** Milliseconds for which whoever asks goes on waiting; none, or fewer, once nobody does. */
export type LeftMs = () => number;

/**
 * Asks with a statement that the server ends when nobody waits for its answer any more; one whose turn comes later than that is not sent.
 * @throws AppError `shard-unavailable` where it was not sent, and what the server threw, also for want of time (57014)
 */
export const queryWithin = async <Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  leftMs: LeftMs,
  query: pg.QueryConfig,
): Promise<pg.QueryResult<Row>> => {
  const client = await pool.connect();
  let isUsable = false;
  try {
    const ms = Math.ceil(leftMs());
    if (ms <= 0) {
      isUsable = true;
      throw new AppError('shard-unavailable', 'no connection to the shard came free in time');
    }
    const asked = inOneGo(
      client,
      () =>
        [
          client.query('begin read only'),
          client.query({
            name: 'statement-timeout',
            text: `select set_config('statement_timeout', $1, true)`,
            values: [String(ms)],
          }),
          client.query<Row>(query),
          // Where the statement failed it undoes what was begun.
          client.query('commit'),
        ] as const,
    );
    const [, , answer, end] = await Promise.allSettled(asked);
    isUsable = end.status === 'fulfilled' && (answer.status === 'fulfilled' || isStatementEnded(answer.reason));
    return (await allAnswered(asked))[2];
  } finally {
    client.release(!isUsable);
  }
};

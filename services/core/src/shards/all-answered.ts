import type pg from 'pg';

/** Puts all that `send` sends into one write: each statement would have its own, and wake the server for it. */
export const inOneGo = <T>(client: pg.PoolClient, send: () => T): T => {
  const {stream} = client.connection;
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
};

/**
 * The values of statements that were sent in one go. Unlike Promise.all it throws only when every one is answered: after
 * that nothing of them is sent any more, so a roll back that follows really is the transaction's last statement.
 * @throws the first failure, in the order given.
 */
export const allAnswered = async <T extends readonly Promise<unknown>[] | []>(
  statements: T,
): Promise<{-readonly [K in keyof T]: Awaited<T[K]>}> => {
  await Promise.allSettled(statements);
  // All are settled, so this answers at once: with every value, or with the first that failed.
  return Promise.all(statements);
};

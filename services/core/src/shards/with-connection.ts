import type pg from 'pg';

/**
 * Works with one connection of a pool. When `signal` aborts it is cut, because a server that hangs keeps what it was asked; the outcome is whatever the server
 * makes of it. After a failure it is not used again, which also rolls back what was begun.
 */
export const withConnection = async <T>(
  pool: pg.Pool,
  signal: AbortSignal | undefined,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> => {
  const client = await pool.connect();
  // client.end() would wait for the answers; without its socket everything that waits is refused.
  const cut = (): void => void client.connection.stream.destroy();
  signal?.addEventListener('abort', cut);
  let hasFailed = true;
  try {
    signal?.throwIfAborted();
    const value = await work(client);
    hasFailed = false;
    return value;
  } finally {
    signal?.removeEventListener('abort', cut);
    client.release(hasFailed);
  }
};

/** The Redis that tests share; each deletes the keys it wrote. */
export const redisUrl = (): URL => {
  const text = process.env['PISYNC_TEST_REDIS_URL'];
  if (text === undefined || text === '')
    throw new Error('PISYNC_TEST_REDIS_URL is not set: it names a Redis for tests');
  return new URL(text);
};

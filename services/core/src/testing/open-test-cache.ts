import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type Cache, openCache} from '../cache/cache.ts';
import {serverAddress} from './server-address.ts';
import {until} from './until.ts';

/** The cache of the tests' Redis, connected. */
export const openTestCache = async (): Promise<Cache> => {
  const {hostname, port} = serverAddress('PISYNC_TEST_REDIS_URL');
  const cache = await openCache({
    endpoint: {host: hostname, port: Number(port)},
    password: () => Promise.resolve(undefined),
    log: pino({level: 'silent'}),
    registry: new Registry(),
    now: () => performance.now(),
  });
  await until('Redis', async () => (await cache.use((redis) => redis.ping())) === 'PONG');
  return cache;
};

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type MuteProxy, openMuteProxy} from '../testing/mute-proxy.ts';
import {until} from '../testing/until.ts';
import {type Cache, openCache} from './cache.ts';

let proxy: MuteProxy;
let cache: Cache;
beforeAll(async () => {
  proxy = await openMuteProxy(
    new URL(process.env.PISYNC_TEST_REDIS_URL ?? 'redis://PISYNC_TEST_REDIS_URL-is-not-set:1'),
  );
  cache = await openCache({
    endpoint: {host: '127.0.0.1', port: proxy.port},
    password: () => Promise.resolve(undefined),
    log: pino({level: 'silent'}),
    registry: new Registry(),
    now: () => performance.now(),
  });
}, 60_000);
afterAll(async () => {
  await cache.close();
  proxy.close();
});

/** The breaker lets one use a second try. */
const answers = (what: string, ms?: number) =>
  until(
    what,
    async () => (await cache.use((redis) => redis.ping())) === 'PONG',
    (seen) => seen,
    ms,
  );

test('a connection whose other end vanished without a word is replaced within seconds', async () => {
  await answers('Redis to answer');
  proxy.strand();
  expect(await cache.use((redis) => redis.ping())).toBeUndefined();
  await answers('Redis to answer on a new connection', 10_000);
});

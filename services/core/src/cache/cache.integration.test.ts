import {randomUUID} from 'node:crypto';
import {setImmediate} from 'node:timers/promises';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type MuteProxy, openMuteProxy} from '../testing/mute-proxy.ts';
import {until} from '../testing/until.ts';
import {type Cache, openCache} from './cache.ts';

const redisUrl = new URL(process.env.PISYNC_TEST_REDIS_URL ?? 'redis://PISYNC_TEST_REDIS_URL-is-not-set:1');

const open = (host: string, port: number): Promise<Cache> =>
  openCache({
    endpoint: {host, port},
    password: () => Promise.resolve(undefined),
    log: pino({level: 'silent'}),
    registry: new Registry(),
    now: () => performance.now(),
  });

let proxy: MuteProxy;
/** Reaches Redis through `proxy`. */
let cache: Cache;
/** The proxy is in this process: what holds up one holds up the other. */
let direct: Cache;
beforeAll(async () => {
  proxy = await openMuteProxy(redisUrl);
  cache = await open('127.0.0.1', proxy.port);
  direct = await open(redisUrl.hostname, Number(redisUrl.port));
}, 60_000);
afterAll(async () => {
  await cache.close();
  await direct.close();
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

/** Listens to a channel of its own; is back when the first message was heard. */
const listen = async (listener: Cache) => {
  const channel = randomUUID();
  const heard = new Set<string>();
  listener.subscribe(channel, (message) => heard.add(message));
  const say = (message: string) => direct.use((redis) => redis.publish(channel, message));
  /** Says it until it is heard. */
  const hears = (message: string, ms?: number) =>
    until(
      message,
      async () => {
        await say(message);
        return heard.has(message);
      },
      (seen) => seen,
      ms,
    );
  await hears('the first message');
  return {heard, say, hears};
};

test('who only listens hears again within seconds when the other end vanished without a word', async () => {
  const {hears} = await listen(cache);
  proxy.strand();
  await hears('a message on a new connection', 10_000);
});

test('a loop that was held up while a SUBSCRIBE was under way misses no message', async () => {
  const {heard, say} = await listen(direct);
  // After immediates come timers, and only then are sockets read.
  await setImmediate();
  direct.subscribe(randomUUID(), () => undefined);
  // Longer than a silent connection is kept.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_200);
  await say('said once');
  await until(
    'the message',
    () => heard.has('said once'),
    (seen) => seen,
    5_000,
  );
});

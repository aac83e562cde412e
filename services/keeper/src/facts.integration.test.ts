import {randomBytes} from 'node:crypto';
import {setTimeout as delay} from 'node:timers/promises';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {factsSchema} from '@pisync/contract/facts';
import {assertProbeQueue} from '@pisync/core/broker/broker-topology';
import {openBrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames} from '@pisync/core/broker/names';
import {createPublisher} from '@pisync/core/broker/publisher';
import {openCache} from '@pisync/core/cache/cache';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {endSession, withinDeadline} from '@pisync/core/shards/write-probe';
import {createLogger} from '@pisync/core/telemetry/logger';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {serverAddress} from '@pisync/core/testing/server-address';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {type FactsOptions, gatherFacts} from './facts.ts';
import {tryBroker, tryCache} from './probes.ts';

// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

const log = createLogger({level: 'silent', service: 'keeper', pod: 'test'});
const fine = {tryBroker: () => Promise.resolve({ok: true}), tryCache: () => Promise.resolve({ok: true})};
const NOON = Date.parse('2026-03-01T12:00:31.500Z');

let bench: TestShards;
let proxy: MuteProxy;
/** As a keeper has them that reaches shard 1 through the proxy. */
let shards: Shards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
  const {host, port} = bench.target(1);
  proxy = await openMuteProxy(new URL(`postgres://${host}:${port}`));
  const {topology, secretsDir} = bench;
  const through = topology.shards.map((shard) =>
    shard.id === 1 ? {...shard, rw: {host: '127.0.0.1', port: proxy.port}} : shard,
  );
  shards = await openShards({
    topology: {current: () => ({...topology, shards: through}), onChange: () => () => undefined},
    secretsDir,
    applicationName: 'probing',
    log,
    metrics: new Registry(),
    sizes: {ingest: 2, dashboard: 1, job: 1},
  });
});
afterAll(async () => {
  await shards.close();
  proxy.close();
  await bench.close();
});

const gather = (more: Partial<FactsOptions> = {}) =>
  gatherFacts({shards, ...fine, now: () => NOON, shardDeadlineMs: 5_000, ...more});

test('what was tried is told with its minute', async () => {
  const facts = await gather();
  expect(facts).toEqual({
    checkedAt: '2026-03-01T12:00:00.000Z',
    shards: [0, 1].map((id) => ({id, slots: 512, write: {ok: true}})),
    broker: {ok: true},
    cache: {ok: true},
    slotMoves: {total: 0, done: 0, moving: 0},
  });
  expect(factsSchema.parse(facts)).toEqual(facts);
});

test('one silent shard silences nothing but itself', async () => {
  proxy.state.mute = true;
  try {
    const facts = await gather({shardDeadlineMs: 2_000});
    expect(facts.shards).toEqual([
      {id: 0, slots: 512, write: {ok: true}},
      {id: 1, write: {ok: false, reason: 'it did not answer within 2 s'}},
    ]);
    expect(facts.slotMoves).toBeUndefined();
  } finally {
    proxy.state.mute = false;
    proxy.cut();
  }
  expect((await gather()).shards[1]).toMatchObject({write: {ok: true}});
});

test('a statement that never ends costs its deadline and leaves no session', async () => {
  const pool = shards.pool(0, 'ingest');
  await expect(
    withinDeadline(pool, 300, async (client) => {
      await client.query('select pg_sleep(600)');
    }),
  ).rejects.toThrow('it did not answer within 0.3 s');
  await until('the session to end', async () => {
    const left = await bench.shards
      .control('job')
      .query(`select 1 from pg_stat_activity where datname = current_database() and query like '%pg_sleep(600)'`);
    return left.rowCount === 0;
  });
});

test('a session that has the process id of one that ended is left alone', async () => {
  const pool = shards.pool(0, 'ingest');
  const other = await bench.shards.pool(0, 'job').connect();
  try {
    const found = await other.query<{pid: number; before: string; began: string}>(
      `select pid, (backend_start - interval '1 microsecond')::text as before, backend_start::text as began
       from pg_stat_activity where pid = pg_backend_pid()`,
    );
    const [session] = found.rows;
    if (session === undefined) throw new Error('a session does not see itself');
    await endSession(pool, {pid: session.pid, began: session.before}, 5_000);
    expect((await other.query('select 1')).rowCount).toBe(1);
    await endSession(pool, session, 5_000);
    await expect(other.query('select 1')).rejects.toThrow();
  } finally {
    other.release(true);
  }
});

test('a broker that takes messages and confirms none is found, and so is its return', async () => {
  const amqp = serverAddress('PISYNC_TEST_AMQP_URL');
  const before = await openMuteProxy(amqp);
  const names = brokerNames(`test-${randomBytes(4).toString('hex')}`);
  const connection = openBrokerConnection({
    address: () =>
      Promise.resolve({
        host: '127.0.0.1',
        port: before.port,
        vhost: '/',
        username: decodeURIComponent(amqp.username),
        password: decodeURIComponent(amqp.password),
      }),
    name: 'probe',
    log,
    random: Math.random,
  });
  const publisher = createPublisher({
    connection,
    declare: (channel) => assertProbeQueue(channel, names),
    confirmTimeoutMs: 1_000,
    log,
    registry: new Registry(),
  });
  try {
    // The connection is being made.
    expect(await tryBroker(publisher, names, delay)).toEqual({ok: true});
    const channel = await (await connection.ready()).createChannel();
    await channel.deleteQueue(names.probe.queue);
    // Somebody deleted the queue; the broker takes messages all the same.
    expect(await tryBroker(publisher, names, delay)).toEqual({ok: true});
    await channel.close();
    before.state.mute = true;
    const muted = await tryBroker(publisher, names, delay);
    expect(muted.ok).toBe(false);
    expect(muted.reason).toContain('did not confirm within 1000 ms');
    before.state.mute = false;
    before.cut();
    await until('the broker to be back', async () => (await tryBroker(publisher, names, delay)).ok);
  } finally {
    const channel = await (await connection.ready()).createChannel();
    await channel.deleteQueue(names.probe.queue);
    await channel.close();
    await publisher.close();
    await connection.close();
    before.close();
  }
});

test('a cache that answers is found, also after a moment in which it did not', async () => {
  const redis = serverAddress('PISYNC_TEST_REDIS_URL');
  const cache = await openCache({
    endpoint: {host: redis.hostname, port: Number(redis.port)},
    password: () => Promise.resolve(undefined),
    log,
    registry: new Registry(),
    now: () => performance.now(),
  });
  try {
    await until('Redis', async () => (await cache.use((client) => client.ping())) === 'PONG');
    let lost = 2;
    const use: typeof cache.use = (work) => (lost-- > 0 ? Promise.resolve(undefined) : cache.use(work));
    expect(await tryCache({...cache, use}, 'keeper-0', () => Promise.resolve())).toEqual({ok: true});
  } finally {
    await cache.close();
  }
});

import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer, type IncomingMessage} from 'node:http';
import {type AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {daysAround, partitionName} from '@pisync/core/shards/partitions';
import {DAY_TABLES} from '@pisync/core/shards/sharded-tables';
import {createKeeperTerms} from '@pisync/core/shards/keeper-term';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {createLogger} from '@pisync/core/telemetry/logger';
import {openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {createFactsPublisher} from './facts-publisher.ts';
import {createJobs} from './jobs.ts';
import {whileLeading} from './leadership.ts';

// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
});
afterAll(() => bench.close());

const log = createLogger({level: 'silent', service: 'keeper', pod: 'test'});
const terms = (holder = 'test', stillActs = () => Promise.resolve()) =>
  createKeeperTerms({shards: bench.shards, holder, stillActs});
const HOUR_MS = 3_600_000;

test('partitions from yesterday to a week ahead are made on every shard, once', async () => {
  const now = Date.now() + 20 * 24 * HOUR_MS;
  const [partitions] = createJobs({shards: bench.shards, terms: terms(), log, now: () => now});
  for (let time = 0; time < 2; time++) await partitions?.run(new AbortController().signal);
  const names = daysAround(now, -1, 7)
    .flatMap((day) => DAY_TABLES.map((table) => partitionName(table, day)))
    .sort();
  for (const shard of bench.shards.ids()) {
    const found = await bench.shards
      .pool(shard, 'job')
      .query<{name: string}>(
        `select relname as name from pg_class join pg_inherits on inhrelid = oid where relname = any($1) order by 1`,
        [names],
      );
    expect(found.rows.map(({name}) => name)).toEqual(names);
  }
});

test('a keeper that stops acting turns to no other shard', async () => {
  const ids: number[] = [];
  const stop = new AbortController();
  const shards: Shards = {
    ...bench.shards,
    pool: (shardId, use) => {
      ids.push(shardId);
      stop.abort();
      return bench.shards.pool(shardId, use);
    },
  };
  const [partitions] = createJobs({shards, terms: terms(), log, now: Date.now});
  await partitions?.run(stop.signal);
  expect(ids).toHaveLength(1);
});

test('a shard that does not answer takes no turn from the others, and does not hold a keeper that stops', async () => {
  const holder = await bench.shards.pool(1, 'job').connect();
  const swept: number[] = [];
  const shards: Shards = {
    ...bench.shards,
    pool: (shardId, use) => {
      swept.push(shardId);
      return bench.shards.pool(shardId, use);
    },
  };
  const [, statuses] = createJobs({shards, terms: terms(), log, now: Date.now, patienceMs: 500});
  const run = (signal = new AbortController().signal) => statuses?.run(signal);
  const away = 'shard 1: has not answered';
  try {
    await holder.query('begin; lock table device_check in access exclusive mode');
    await expect(run()).rejects.toThrow(`${away} for 0.5 s`);
    await expect(run()).rejects.toThrow(`${away} since an earlier turn`);
    expect(swept.toSorted()).toEqual([0, 0, 1]);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
  await until('the shard to have its turn again', () =>
    Promise.resolve(run()).then(
      () => true,
      () => false,
    ),
  );
  const stop = new AbortController();
  const locked = await bench.shards.pool(1, 'job').connect();
  try {
    await locked.query('begin; lock table device_check in access exclusive mode');
    const patient = createJobs({shards, terms: terms(), log, now: Date.now, patienceMs: 60_000})[1]?.run(stop.signal);
    setImmediate(() => stop.abort());
    await patient;
  } finally {
    await locked.query('rollback');
    locked.release();
  }
});

test('a keeper that does not know that another one acts writes nothing more, unless it has the lock', async () => {
  let days = 100;
  const jobsOf = (of: ReturnType<typeof terms>) => {
    // Each time there is a day to be made.
    const [partitions] = createJobs({
      shards: bench.shards,
      terms: of,
      log,
      now: () => Date.now() + days++ * 24 * HOUR_MS,
    });
    return () => partitions?.run(new AbortController().signal);
  };
  const hasLock = {before: true};
  const before = jobsOf(
    terms('before', () => (hasLock.before ? Promise.resolve() : Promise.reject(new Error('the lock is lost')))),
  );
  const after = jobsOf(terms('after'));
  await before();
  await after();
  const failed = 'another keeper has begun to act for shard 0; shard 1: another keeper has begun to act for shard 1';
  await expect(before()).rejects.toThrow(failed);
  await after();
  await before();
  await expect(after()).rejects.toThrow(failed);
  hasLock.before = false;
  await after();
  await expect(before()).rejects.toThrow(failed);
  await expect(before()).rejects.toThrow('the lock is lost');
  await after();
});

test('a term is nobody else’s on a shard that counts again', async () => {
  const pool = bench.shards.pool(0, 'job');
  await pool.query('delete from keeper_term');
  const fence = await terms('one').fenceOf(0);
  await pool.query('delete from keeper_term');
  await terms('two').fenceOf(0);
  const client = await pool.connect();
  try {
    await expect(fence(client)).rejects.toMatchObject({code: 'conflict'});
  } finally {
    client.release();
  }
});

test('nobody begins to act in the middle of what another keeper writes', async () => {
  const fence = await terms('writing').fenceOf(0);
  const client = await bench.shards.pool(0, 'ingest').connect();
  let hasBegun = false;
  try {
    await client.query('begin');
    await fence(client);
    const next = terms('next')
      .fenceOf(0)
      .then(() => (hasBegun = true));
    await until('the other one to wait', async () => {
      const waiting = await bench.shards
        .pool(0, 'dashboard')
        .query(
          `select 1 from pg_stat_activity where query like 'insert into keeper_term%' and wait_event_type = 'Lock'`,
        );
      return waiting.rowCount === 1;
    });
    expect(hasBegun).toBe(false);
    await client.query('commit');
    await next;
    await client.query('begin');
    await expect(fence(client)).rejects.toMatchObject({code: 'conflict'});
  } finally {
    await client.query('rollback');
    client.release();
  }
});

test('one keeper acts at a time; when its session dies another takes over', async () => {
  const acting = new Set<string>();
  const seen: string[] = [];
  const stopping = new AbortController();
  const keeper = (name: string) =>
    whileLeading(
      {control: () => bench.shards.control('ingest'), log, intervalMs: 20, sleep, onChange: () => undefined},
      stopping.signal,
      async (signal) => {
        acting.add(name);
        seen.push(name);
        await sleep(60_000, signal);
        acting.delete(name);
      },
    );
  const all = [keeper('a'), keeper('b')];
  await until('a keeper to act', () => seen.length === 1);
  await bench.shards
    .control('job')
    .query(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = $1 and granted`,
      [0x504b],
    );
  await until('another reign', () => seen.length === 2);
  expect(acting.size).toBe(1);
  stopping.abort();
  await Promise.all(all);
  expect(acting.size).toBe(0);
});

/** Shards as another process has them, because what hangs never gives its connection back. @param port of a proxy on this machine */
const othersShards = (port?: number): Promise<Shards> => {
  const {topology, secretsDir} = bench;
  const shards = topology.shards.map((shard) =>
    port === undefined ? shard : {...shard, rw: {host: '127.0.0.1', port}},
  );
  return openShards({
    topology: {current: () => ({...topology, shards}), onChange: () => () => undefined},
    secretsDir,
    applicationName: 'another-keeper',
    log,
    metrics: new Registry(),
    sizes: {ingest: 1, dashboard: 1, job: 1},
  });
};

/** The sleep of a process that hangs. */
const forEver = (_ms: number, _signal: AbortSignal): Promise<void> => new Promise(() => undefined);

test('a keeper that hangs loses its right to act to another one', async () => {
  const stopping = new AbortController();
  const acting: string[] = [];
  const options = {log, intervalMs: 20, patienceMs: 300};
  const hanging = await othersShards();
  const signals: AbortSignal[] = [];
  void whileLeading(
    {
      ...options,
      control: () => hanging.control('job'),
      sleep: forEver,
      onChange: (leading) => acting.push(`hanging ${leading}`),
    },
    stopping.signal,
    (signal) => {
      signals.push(signal);
      return Promise.resolve();
    },
  );
  await until('the one that will hang to act', () => acting.length === 1);
  const other = whileLeading(
    {
      ...options,
      control: () => bench.shards.control('job'),
      sleep,
      onChange: (leading) => acting.push(`other ${leading}`),
    },
    stopping.signal,
    (signal) => sleep(60_000, signal),
  );
  await until('the other to take over', () => acting.length === 2);
  expect(acting).toEqual(['hanging true', 'other true']);
  expect(signals.map(({aborted}) => aborted)).toEqual([true]);
  stopping.abort();
  await other;
  // It never ends, because the connection is never given back.
  void hanging.close();
});

test('a keeper that is cut off stops acting', async () => {
  const {host, port} = bench.target(0);
  const proxy = await openMuteProxy(new URL(`postgres://${host}:${port}`));
  const shards = await othersShards(proxy.port);
  const stopping = new AbortController();
  const changes: boolean[] = [];
  const running = whileLeading(
    {
      control: () => shards.control('job'),
      log,
      intervalMs: 20,
      patienceMs: 300,
      sleep,
      onChange: (leading) => changes.push(leading),
    },
    stopping.signal,
    (signal) => sleep(60_000, signal),
  );
  try {
    await until('the keeper to act', () => changes.length === 1);
    proxy.state.mute = true;
    await until('the keeper to give up', () => changes.length === 2);
    expect(changes).toEqual([true, false]);
  } finally {
    stopping.abort();
    proxy.cut();
    await running;
    await shards.close();
    proxy.close();
  }
});

test('a key is applied to the ConfigMap when it changes, and once a minute in case somebody else changed it', async () => {
  const requests: {readonly line: string; readonly authorization: string | undefined; readonly body: string}[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      requests.push({line: `${request.method} ${request.url}`, authorization: request.headers.authorization, body});
      response.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await until('the server', () => server.listening);
  const dir = await mkdtemp(join(tmpdir(), 'pisync-account-'));
  await writeFile(join(dir, 'token'), 'secret-token\n');
  // A listening TCP server has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  let nowMs = 0;
  const publisher = await createFactsPublisher({
    apiServer: `http://127.0.0.1:${port}`,
    serviceAccountDir: dir,
    namespace: 'fleet',
    configMap: 'eu-facts',
    now: () => nowMs,
  });
  try {
    await publisher.publish('facts.json', 'first');
    await publisher.publish('facts.json', 'first');
    await publisher.publish('facts.json', 'second');
    await publisher.publish('slot-map.json', 'map');
    nowMs = 59_999;
    await publisher.publish('facts.json', 'second');
    expect(requests).toHaveLength(3);
    nowMs = 60_000;
    await publisher.publish('facts.json', 'second');
    const path = 'PATCH /api/v1/namespaces/fleet/configmaps/eu-facts?force=true&fieldManager=';
    expect(requests.map(({line}) => line)).toEqual([
      `${path}pisync-keeper-facts`,
      `${path}pisync-keeper-facts`,
      `${path}pisync-keeper-slot-map`,
      `${path}pisync-keeper-facts`,
    ]);
    expect(requests[0]?.authorization).toBe('Bearer secret-token');
    expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({kind: 'ConfigMap', data: {'facts.json': 'first'}});
    expect(requests[3]?.body).toBe(requests[1]?.body);
  } finally {
    await publisher.close();
    server.closeAllConnections();
    server.close();
    await rm(dir, {recursive: true});
  }
});

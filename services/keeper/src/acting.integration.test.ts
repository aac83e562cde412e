import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {beginTerm, type Fence} from '@pisync/core/shards/keeper-term';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {createLogger} from '@pisync/core/telemetry/logger';
import {openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {type ActingOptions, whileActing} from './acting.ts';

// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
  for (const shardId of bench.shards.ids()) {
    // In the order in which it was written, because each writer waits for the one before.
    await bench.shards
      .pool(shardId, 'job')
      .query('create table turn (n int); insert into turn values (0); create table written (n int, who text)');
  }
});
afterAll(() => bench.close());

const log = createLogger({level: 'silent', service: 'keeper', pod: 'test'});

const begin = async (shardId: number, holder: string, onOver = (): void => undefined): Promise<Fence> => {
  const client = await bench.shards.pool(shardId, 'ingest').connect();
  try {
    return (await beginTerm(client, {shardId, holder, onOver})).fence;
  } finally {
    client.release();
  }
};

/** What a keeper writes in one transaction. */
const write = async (shardId: number, who: string, fence: Fence): Promise<void> => {
  const client = await bench.shards.pool(shardId, 'ingest').connect();
  try {
    await client.query('begin');
    await fence(client);
    const text = 'with next as (update turn set n = n + 1 returning n) insert into written select n, $1 from next';
    await client.query(text, [who]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
};

/** Of a shard's lock, on the server. */
const endHolder = (shardId: number): Promise<unknown> =>
  bench.shards.pool(shardId, 'dashboard').query(
    `select pg_terminate_backend(pid) from pg_locks
     where locktype = 'advisory' and objid = $1 and granted and database = (select oid from pg_database where datname = current_database())`,
    [0x504b],
  );

test('once another keeper has begun to act for a shard the one before writes nothing more there, and hears why', async () => {
  let over = 0;
  const before = {
    on0: await begin(0, 'before', () => void (over += 1)),
    on1: await begin(1, 'before'),
  };
  await write(0, 'before', before.on0);
  const after = await begin(0, 'after');
  await expect(write(0, 'before', before.on0)).rejects.toThrow('another keeper has begun to act for shard 0');
  expect(over).toBe(1);
  await write(0, 'after', after);
  // Each shard counts for itself.
  await write(1, 'before', before.on1);
});

test('a term is nobody else’s on a shard that counts again', async () => {
  const restore = () => bench.shards.pool(0, 'job').query('delete from keeper_term');
  await restore();
  const fence = await begin(0, 'one');
  await restore();
  await begin(0, 'two');
  await expect(write(0, 'one', fence)).rejects.toMatchObject({code: 'conflict'});
});

test('nobody begins to act in the middle of what another keeper writes', async () => {
  const fence = await begin(0, 'writing');
  const client = await bench.shards.pool(0, 'ingest').connect();
  let hasBegun = false;
  try {
    await client.query('begin');
    await fence(client);
    // As a keeper has it: with five seconds for a lock.
    const waiting = await bench.shards.pool(0, 'job').connect();
    const next = beginTerm(waiting, {shardId: 0, holder: 'next', onOver: () => undefined})
      .then(() => (hasBegun = true))
      .finally(() => waiting.release());
    await until('the other one to wait', async () => {
      const found = await bench.shards
        .pool(0, 'dashboard')
        .query(
          `select 1 from pg_stat_activity where query like 'insert into keeper_term%' and wait_event_type = 'Lock' and datname = current_database()`,
        );
      return found.rowCount === 1;
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

const optionsOf = (who: string, shardId = 0, shards = bench.shards): ActingOptions => {
  let terms = 0;
  return {
    shardId,
    pool: () => shards.pool(shardId, 'ingest'),
    newHolder: () => `${who} ${terms++}`,
    log,
    intervalMs: 20,
    sleep,
    onChange: () => undefined,
  };
};

test('one keeper acts for a shard at a time; when its session dies another one takes over that shard alone', async () => {
  const acting = new Set<string>();
  const reigns = [0, 0];
  const stopping = new AbortController();
  const keeper = (who: string, shardId: number) =>
    whileActing(optionsOf(who, shardId), stopping.signal, async (signal) => {
      acting.add(`${who} ${shardId}`);
      reigns[shardId] = (reigns[shardId] ?? 0) + 1;
      await sleep(60_000, signal);
      acting.delete(`${who} ${shardId}`);
    });
  const all = bench.shards.ids().flatMap((shardId) => [keeper('a', shardId), keeper('b', shardId)]);
  try {
    await until('a keeper of each shard', () => reigns.every((count) => count === 1));
    await endHolder(1);
    await until('another reign', () => reigns[1] === 2);
    expect({reigns, acting: acting.size}).toEqual({reigns: [1, 2], acting: 2});
  } finally {
    stopping.abort();
    await Promise.all(all);
  }
  expect(acting.size).toBe(0);
});

test('of two keepers that both believe that they act for a shard only the later one writes', async () => {
  const stopping = new AbortController();
  let refused = 0;
  /** Looks at no signal, as one that stood still in the middle of its work. */
  const keeper = (who: string) =>
    whileActing(optionsOf(who), stopping.signal, async (_, fence) => {
      while (!stopping.signal.aborted) {
        await write(0, who, fence).catch(() => (refused += 1));
      }
    });
  const written = async (who: string): Promise<readonly number[]> => {
    const text = 'select n from written where who = $1 order by n';
    return (await bench.shards.pool(0, 'job').query<{n: number}>(text, [who])).rows.map(({n}) => n);
  };
  const both = [keeper('early')];
  try {
    await until('the first to write', async () => (await written('early')).length > 5);
    both.push(keeper('late'));
    await endHolder(0);
    const after = (await written('early')).length;
    await until('the other one to write while the first goes on to try', async () => {
      const tried = refused + (await written('early')).length - after;
      return (await written('late')).length > 20 && tried > 20;
    });
  } finally {
    stopping.abort();
    await Promise.all(both);
  }
  expect((await written('early')).at(-1)).toBeLessThan((await written('late'))[0] ?? 0);
});

/** The sleep of a process that hangs. */
const forEver = (_ms: number, _signal: AbortSignal): Promise<void> => new Promise(() => undefined);

test('a keeper that hangs loses its right to act to another one', async () => {
  const stopping = new AbortController();
  const acting: string[] = [];
  const hanging = await othersShards();
  const signals: AbortSignal[] = [];
  const options = (who: string, shards = bench.shards): ActingOptions => ({
    ...optionsOf(who, 0, shards),
    patienceMs: 300,
    onChange: (isActing) => acting.push(`${who} ${isActing}`),
  });
  void whileActing({...options('hanging', hanging), sleep: forEver}, stopping.signal, (signal) => {
    signals.push(signal);
    return Promise.resolve();
  });
  await until('the one that will hang to act', () => acting.length === 1);
  const other = whileActing(options('other'), stopping.signal, (signal) => sleep(60_000, signal));
  await until('the other to take over', () => acting.length === 2);
  expect(acting).toEqual(['hanging true', 'other true']);
  expect(signals.map(({aborted}) => aborted)).toEqual([true]);
  stopping.abort();
  await other;
  // It never ends, because the connection is never given back.
  void hanging.close();
});

/** A keeper of shard 0 that reaches it through a proxy, which goes silent once the keeper acts. */
const actThenCutOff = async (patienceMs: number) => {
  const {host, port} = bench.target(0);
  const proxy = await openMuteProxy(new URL(`postgres://${host}:${port}`));
  const shards = await othersShards(proxy.port);
  const stopping = new AbortController();
  const changes: boolean[] = [];
  let looks = 0;
  const running = whileActing(
    {
      ...optionsOf('cut off', 0, shards),
      patienceMs,
      onChange: (isActing) => changes.push(isActing),
      async sleep(ms, signal) {
        await sleep(ms, signal);
        looks += 1;
      },
    },
    stopping.signal,
    (signal) => sleep(60_000, signal),
  );
  await until('the keeper to act', () => changes.length === 1);
  proxy.state.mute = true;
  const before = looks;
  await until('it to look whether its session lives', () => looks > before);
  return {
    changes,
    stop: async (): Promise<void> => {
      stopping.abort();
      await running;
      proxy.cut();
      await shards.close();
      proxy.close();
    },
  };
};

test('a keeper that is cut off stops acting', async () => {
  const {changes, stop} = await actThenCutOff(300);
  try {
    await until('the keeper to give up', () => changes.length === 2);
    expect(changes).toEqual([true, false]);
  } finally {
    await stop();
  }
});

test('a keeper that is told to stop does not wait for a shard that hangs', async () => {
  const {stop} = await actThenCutOff(40_000);
  const began = performance.now();
  await stop();
  expect(performance.now() - began).toBeLessThan(10_000);
});

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {createGroups, DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {tokenHash} from '@pisync/core/devices/tokens';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {seedApiToken, seedDevices} from '../testing/seed.ts';
import {silentLog} from '../testing/silent-log.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';

let region: TestShards;
let own: Shards;
let api: TestApi;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  own = await openShards({
    topology: {current: () => region.topology, onChange: () => () => undefined},
    secretsDir: region.secretsDir,
    applicationName: 'test-full-pool',
    log: silentLog,
    metrics: new Registry(),
    sizes: {ingest: 1, dashboard: 1, job: 1},
  });
  // As in production, before the pool gives up.
  api = await startTestApi({shards: own, cache: {use: () => Promise.resolve(undefined)}, shardTimeoutMs: 2_000});
}, 60_000);

afterAll(async () => {
  await api.close();
  await own.close();
  await region.close();
}, 30_000);

test('a list and a summary whose readers wait for a connection say nothing of the shard, which answers others', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  // One after the other: longer than a reader waits.
  const readers = Array.from({length: 12}, () => own.pool(1, 'dashboard').query('select pg_sleep(0.5)'));
  try {
    const asked = ['devices', 'region/summary'].map((path) => api.call('GET', `/api/v1/${path}`, {token}));
    for (const {status, headers, body} of await Promise.all(asked)) {
      expect({status, body}).toMatchObject({status: 503, body: {code: 'overloaded'}});
      expect(headers.has('retry-after')).toBe(true);
    }
  } finally {
    await Promise.allSettled(readers);
  }
  expect((await api.call('GET', '/api/v1/devices', {token})).body).not.toHaveProperty('partial');
}, 30_000);

test('who finds every connection to a shard busy is told that there are too many readers, not that the shard is away', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  const device = (await seedDevices(region.shards, 20)).find(({shard}) => shard === 1);
  const reader = await own.pool(1, 'dashboard').connect();
  try {
    const {status, headers, body} = await api.call('GET', `/api/v1/devices/${device?.id ?? ''}/syncs`, {token});
    expect({status, body}).toMatchObject({status: 503, body: {code: 'overloaded'}});
    expect(headers.has('retry-after')).toBe(true);
  } finally {
    reader.release();
  }
}, 30_000);

test('a shard works for no reader who has left', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  const hasty = await startTestApi({
    shards: own,
    cache: {use: () => Promise.resolve(undefined)},
    shardTimeoutMs: 300,
  });
  const pool = region.shards.pool(1, 'job');
  const holder = await pool.connect();
  const working = async (): Promise<number> => {
    const {rows} = await pool.query<{n: number}>(
      `select count(*)::int as n from pg_stat_activity
       where application_name = 'test-full-pool/dashboard' and datname = current_database() and state = 'active'`,
    );
    return rows[0]?.n ?? 0;
  };
  try {
    await holder.query('begin; lock table device, device_status');
    for (const path of ['devices?filter=name==a*&limit=1', 'region/summary']) {
      const asked = hasty.call('GET', `/api/v1/${path}`, {token});
      await until(`${path} is at work`, async () => (await working()) === 1);
      expect(await asked).toMatchObject({status: 200, body: {partial: ['shard-1']}});
      // Left alone, it would wait for the lock for five seconds.
      await until(`${path} ended`, async () => (await working()) === 0, Boolean, 2_000);
    }
  } finally {
    await holder.query('rollback');
    holder.release();
    await hasty.close();
  }
}, 30_000);

test('pages that take every connection keep nobody from signing in, and no revoked token alive', async () => {
  const [stays, ends] = [await seedApiToken(region.shards, 'viewer'), await seedApiToken(region.shards, 'viewer')];
  expect((await api.call('GET', '/api/v1/session', {token: ends})).status).toBe(200);
  const reader = await own.control('dashboard').connect();
  try {
    expect((await api.call('GET', '/api/v1/session', {token: stays})).status).toBe(200);
    await region.shards
      .control('job')
      .query('update control.api_token set revoked_at = now() where token_hash = $1', [tokenHash(ends)]);
    expect((await api.call('GET', '/api/v1/session', {token: ends})).status).toBe(401);
    const names = await createGroups(own, () => performance.now()).names();
    expect(names.nameOf(DEFAULT_GROUP)).toBe('default');
  } finally {
    reader.release();
  }
}, 30_000);

test('who signs in while shard 0 gives out no transaction ids is told to come back', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  const control = region.shards.control('job');
  await control.query(
    `create function exhausted() returns trigger language plpgsql as
       $$ begin raise exception 'no transaction IDs' using errcode = '54000'; end $$;
     create trigger exhausted before insert on control.session execute function exhausted()`,
  );
  try {
    const {status, headers, body} = await api.call('POST', '/api/v1/session', {body: {token}});
    expect({status, body}).toMatchObject({status: 503, body: {code: 'shard-unavailable'}});
    expect(headers.has('retry-after')).toBe(true);
  } finally {
    await control.query('drop function exhausted cascade');
  }
}, 30_000);

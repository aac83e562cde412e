import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {type Fence} from '@pisync/core/shards/keeper-term';
import {daysAround, partitionName} from '@pisync/core/shards/partitions';
import {DAY_TABLES} from '@pisync/core/shards/sharded-tables';
import {createLogger} from '@pisync/core/telemetry/logger';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {createControlJobs, createJobs} from './jobs.ts';

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());
afterEach(() => {
  jest.restoreAllMocks();
});

const log = createLogger({level: 'silent', service: 'keeper', pod: 'test'});

const OPEN: Fence = () => Promise.resolve();
const runJob = (name: string, signal = new AbortController().signal, fence = OPEN): Promise<void> => {
  const pool = () => bench.shards.pool(0, 'job');
  const options = {pool, fence, log};
  const job = [...createJobs(options), ...createControlJobs(options)].find((one) => one.name === name);
  if (job === undefined) throw new Error(`there is no job ${name}`);
  return job.run(signal);
};

const partitionsOf = (from: number, to: number): readonly string[] =>
  daysAround(Date.now(), from, to)
    .flatMap((day) => DAY_TABLES.map((table) => partitionName(table, day)))
    .sort();
/** All that there are. */
const partitions = async (): Promise<readonly string[]> => {
  const found = await bench.shards
    .pool(0, 'job')
    .query<{name: string}>(
      `select relname as name from pg_class join pg_inherits on inhrelid = oid where inhparent = any($1::regclass[]) and relkind = 'r' order by 1`,
      [DAY_TABLES],
    );
  return found.rows.map(({name}) => name);
};
const dropLastDay = (): Promise<unknown> =>
  bench.shards.pool(0, 'job').query(
    partitionsOf(7, 7)
      .map((name) => `drop table if exists ${name}`)
      .join(';'),
  );

test('partitions from yesterday to a week ahead are made, once, by the clock of the shard', async () => {
  const expected = partitionsOf(-1, 7);
  jest.spyOn(Date, 'now').mockReturnValue(Date.UTC(2018, 2, 1));
  for (let time = 0; time < 2; time++) await runJob('partitions');
  expect(await partitions()).toEqual(expected);
});

test.each([
  {name: 'partitions', lock: 'lock table receipt in access exclusive mode'},
  {name: 'statuses', lock: 'lock table device_check in access exclusive mode'},
  {name: 'recency', lock: 'lock table device_recency in access exclusive mode'},
  {name: 'tokens', lock: 'lock table control.enrolment_place in access exclusive mode'},
])('the job $name ends at once when the keeper stops acting, whatever the shard does', async ({name, lock}) => {
  await dropLastDay();
  const holder = await bench.shards.pool(0, 'ingest').connect();
  const stop = new AbortController();
  try {
    await holder.query('begin');
    await holder.query(lock);
    const outcome = Promise.allSettled([runJob(name, stop.signal)]);
    await until('the job to wait', async () => {
      const found = await bench.shards
        .pool(0, 'dashboard')
        .query(`select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`);
      return found.rowCount === 1;
    });
    const began = performance.now();
    stop.abort();
    expect(await outcome).toMatchObject([{status: 'rejected'}]);
    expect(performance.now() - began).toBeLessThan(3_000);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
});

test.each(['partitions', 'statuses', 'recency', 'tokens'])(
  'the job %s writes nothing once another keeper acts',
  async (name) => {
    const pool = bench.shards.pool(0, 'ingest');
    await dropLastDay();
    const before = await partitions();
    // Of a device that is gone, so it would go.
    await pool.query('insert into device_check (check_at, device_key) values (now(), 7)');
    await pool.query(
      `insert into control.api_token (token_hash, token_id, name, role, created_by, revoked_at)
     values (uuid_send(gen_random_uuid()), gen_random_uuid(), 'long ago', 'viewer', 'test', '2000-01-01')`,
    );
    const over: Fence = () => Promise.reject(new Error('another one acts'));
    await expect(runJob(name, undefined, over)).rejects.toThrow('another one acts');
    expect(await partitions()).toEqual(before);
    expect((await pool.query('delete from device_check where device_key = 7')).rowCount).toBe(1);
    expect((await pool.query('select from recency_pass')).rowCount).toBe(0);
    expect((await pool.query(`delete from control.api_token where name = 'long ago'`)).rowCount).toBe(1);
  },
);

test('tokens of both kinds go a month after they ended, with their places, a few thousand rows at a time', async () => {
  const pool = bench.shards.pool(0, 'ingest');
  const ends: readonly (readonly [name: string, revokedAt: string, expiresAt: string])[] = [
    ['valid', 'null', 'null'],
    ['expires later', 'null', `now() + interval '1 day'`],
    ['revoked of late', `now() - interval '29 days'`, `now() - interval '29 days'`],
    ['revoked', `now() - interval '31 days'`, 'null'],
    ['expired', 'null', `now() - interval '31 days'`],
    ['revoked and expired since', `now() - interval '31 days'`, `now() - interval '1 day'`],
  ];
  for (const [name, revokedAt, expiresAt] of ends) {
    const common = `select uuid_send(gen_random_uuid()), gen_random_uuid(), '${name}', 'test', ${revokedAt}, ${expiresAt}`;
    const columns = 'token_hash, token_id, name, created_by, revoked_at, expires_at';
    await pool.query(`insert into control.api_token (${columns}, role) ${common}, 'viewer'`);
    await pool.query(
      `with t as (insert into control.enrolment_token (${columns}) ${common} returning token_hash)
       insert into control.enrolment_place select token_hash, gen_random_uuid() from t, generate_series(1, $1)`,
      [name === 'expired' ? 4_500 : 1],
    );
  }
  let transactions = 0;
  const fence: Fence = () => {
    transactions += 1;
    return Promise.resolve();
  };
  await runJob('tokens', undefined, fence);
  const left = async (from: string): Promise<unknown> =>
    (await pool.query<{name: string}>(`select t.name from ${from} order by t.token_id`)).rows.map(({name}) => name);
  const expected = expect.arrayContaining(['valid', 'expires later', 'revoked of late']);
  for (const from of [
    'control.api_token t',
    'control.enrolment_token t',
    'control.enrolment_place p left join control.enrolment_token t on t.token_hash = p.token_hash',
  ]) {
    const names = await left(from);
    expect(names).toEqual(expected);
    expect(names).toHaveLength(3);
  }
  expect(transactions).toBe(6);
});

test('groups go a month after they were deleted, once no token names them any more', async () => {
  const pool = bench.shards.pool(0, 'ingest');
  await pool.query(
    `insert into control.device_group (name, deleted_at) values
       ('living', null), ('of late', now() - interval '29 days'), ('gone', now() - interval '31 days'), ('gone, with a token', now() - interval '31 days')`,
  );
  await pool.query(
    `insert into control.enrolment_token (token_hash, token_id, name, created_by, group_id)
     select uuid_send(gen_random_uuid()), gen_random_uuid(), 'of a group', 'test', group_id from control.device_group where name = 'gone, with a token'`,
  );
  const names = async (): Promise<readonly string[]> =>
    (await pool.query<{name: string}>('select name from control.device_group order by group_id')).rows.map(
      ({name}) => name,
    );
  await runJob('tokens');
  expect(await names()).toEqual(['default', 'living', 'of late', 'gone, with a token']);
  await pool.query(`delete from control.enrolment_token where name = 'of a group'`);
  await runJob('tokens');
  expect(await names()).toEqual(['default', 'living', 'of late']);
});

import {afterAll, beforeAll, beforeEach, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {databaseFault} from './database-fault.ts';
import {runSteps, type Step} from './migration-steps.ts';
import {PG_TYPES} from './pg-types.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const ROWS = 5000;

let bench: TestShards;
let client: pg.Client;
let other: pg.Client;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
  [client, other] = [0, 1].map(() => new pg.Client({...bench.target(0), types: PG_TYPES})) as [pg.Client, pg.Client];
  await Promise.all([client.connect(), other.connect()]);
});
afterAll(async () => {
  await Promise.all([client.end(), other.end()]);
  await bench.close();
});

beforeEach(async () => {
  await client.query(`drop table if exists schema_step, thing`);
  await client.query(`create table thing (id bigint primary key, times int not null default 0, colour text)`);
  await client.query(`insert into thing (id, colour) select n * 3, 'red' from generate_series(1, ${ROWS}) n`);
});

const run = (...steps: readonly Step[]): Promise<void> =>
  runSteps(client, {name: '0002-test', steps, say: () => undefined});

const one = async <T>(sql: string): Promise<T | undefined> =>
  (await client.query<{value: T}>(`select (select ${sql}) as value`)).rows[0]?.value;

const count: Step = {
  kind: 'backfill',
  table: 'thing',
  key: 'id',
  set: 'times = times + 1',
  where: `colour = 'red'`,
  rowsAtOnce: 500,
};

test('a step that is done is not done again when a later one has failed', async () => {
  const add: Step = {
    kind: 'transaction',
    sql: 'alter table thing add column size int; alter table thing add unique (size)',
  };
  await expect(run(add, {kind: 'transaction', sql: 'alter table nothing add column size int'})).rejects.toThrow(
    'nothing',
  );
  // It would fail a second time.
  await run(add, {kind: 'transaction', sql: 'alter table thing add column weight int'});
  expect(await one(`count(*) from information_schema.columns where table_name = 'thing'`)).toBe(5);
});

test('a backfill that was interrupted goes on where it was, and changes each row once', async () => {
  await client.query(`update thing set colour = 'blue' where id % 2 = 0`);
  await client.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'interrupted'; end $$;
    create trigger refuse before update on thing for each row when (new.id = 9003) execute function refuse()`);
  await expect(run(count)).rejects.toThrow('interrupted');
  expect(await one('max(id) from thing where times > 0')).toBe(8997);
  await client.query('drop function refuse cascade');
  await run(count);
  await run(count);
  expect(await one(`array_agg(distinct colour || ' ' || times order by colour || ' ' || times) from thing`)).toEqual([
    'blue 0',
    'red 1',
  ]);
});

test('who holds a lock makes a migration come back later', async () => {
  await other.query('begin');
  await other.query('lock table thing in access share mode');
  const add: Step = {kind: 'transaction', sql: 'alter table thing add column size int'};
  const beganMs = performance.now();
  expect(await run(add).catch(databaseFault)).toBe('held');
  expect(performance.now() - beganMs).toBeLessThan(10_000);
  await other.query('commit');
  await run(add);
  expect(
    await one(`count(*) from information_schema.columns where table_name = 'thing' and column_name = 'size'`),
  ).toBe(1);
});

test('an index that could not be made is made anew, and one that is there stays', async () => {
  const index: Step = {kind: 'index', name: 'thing_colour', isUnique: true, on: 'thing (colour)'};
  await expect(run(index)).rejects.toThrow('could not create unique index');
  expect(await one(`to_regclass('thing_colour')`)).toBeNull();
  // As one leaves it that was killed.
  await expect(client.query('create unique index concurrently thing_colour on thing (colour)')).rejects.toThrow();
  await client.query(`update thing set colour = id::text`);
  await run(index);
  const made = await one(`'thing_colour'::regclass::oid`);
  expect(await one(`indisvalid from pg_index where indexrelid = 'thing_colour'::regclass`)).toBe(true);
  await client.query('drop table schema_step');
  await run(index);
  expect(await one(`'thing_colour'::regclass::oid`)).toBe(made);
});

test('a partition is detached while others write, and one that was left pending is brought to its end', async () => {
  await client.query(`
    drop table if exists parted, parted_1;
    create table parted (id int) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (10);
    insert into parted values (1)`);
  const detach: Step = {kind: 'detach', table: 'parted', partition: 'parted_1'};
  await other.query('begin');
  await other.query('select from parted');
  // It has to wait for who reads, and gives up after the first of its two transactions.
  expect(await run(detach).catch(databaseFault)).toBe('held');
  await other.query('commit');
  await run(detach);
  await run(detach);
  expect(await one('count(*) from parted')).toBe(0);
  expect(await one('count(*) from parted_1')).toBe(1);
});

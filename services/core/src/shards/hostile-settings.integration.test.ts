import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import {createDeviceKeys} from '../devices/device-keys.ts';
import {findDevice} from '../queries/devices.ts';
import {enrol} from '../devices/enrolment.ts';
import {tokenHash} from '../devices/tokens.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {migrateShard} from './migrate.ts';
import {openShards, type Shards} from './shards.ts';

jest.setTimeout(60_000);

/** Each of them changes what a client is told, or lets it do less. */
const HOSTILE = {
  datestyle: 'German, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Asia/Kathmandu',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  search_path: 'nowhere',
  client_encoding: 'LATIN1',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  transform_null_equals: 'on',
  synchronous_commit: 'off',
};

let bench: TestShards;
let shards: Shards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
  const {database} = bench.target(0);
  const pool = bench.shards.control('job');
  await pool.query('create schema nowhere');
  for (const [name, value] of Object.entries(HOSTILE)) {
    await pool.query(`alter database ${database} set ${name} = ${name === 'search_path' ? value : `'${value}'`}`);
  }
  shards = await openShards({
    topology: {current: () => bench.topology, onChange: () => () => undefined},
    secretsDir: bench.secretsDir,
    applicationName: 'hostile',
    log: pino({level: 'silent'}),
    metrics: new Registry(),
    sizes: {ingest: 2, dashboard: 1, job: 1},
  });
});
afterAll(async () => {
  await shards.close();
  await bench.close();
});

test('a session means what we wrote, whatever the database says', async () => {
  const found = await shards
    .pool(0, 'ingest')
    .query<{name: string; setting: string}>(
      'select name, setting from pg_settings where name = any($1) order by name',
      [[...Object.keys(HOSTILE), 'TimeZone', 'DateStyle', 'IntervalStyle']],
    );
  expect(Object.fromEntries(found.rows.map(({name, setting}) => [name, setting]))).toEqual({
    DateStyle: 'ISO, MDY',
    IntervalStyle: 'postgres',
    TimeZone: 'UTC',
    bytea_output: 'hex',
    client_encoding: 'UTF8',
    default_transaction_isolation: 'read committed',
    default_transaction_read_only: 'off',
    extra_float_digits: '1',
    lock_timeout: '500',
    search_path: 'public',
    standard_conforming_strings: 'on',
    // The pool's own.
    statement_timeout: '15000',
    synchronous_commit: 'on',
    transform_null_equals: 'off',
  });
});

test('a device is written and read as ever', async () => {
  const deviceId = randomUUID();
  const made = await enrol(shards, createDeviceKeys(shards), {
    deviceId,
    hardwareId: 'hw-Größe-\\',
    secretHash: tokenHash('a'),
    groupId: DEFAULT_GROUP,
  });
  expect(made.kind).toBe('created');
  const device = await findDevice(shards, deviceId);
  expect(device).toMatchObject({deviceId, hardwareId: 'hw-Größe-\\'});
  expect(Math.abs(Date.now() - (device?.enrolledAt.getTime() ?? 0))).toBeLessThan(60_000);
});

test('a migration runs where no statement may take a millisecond', async () => {
  const {database, ...server} = bench.target(0);
  const fresh = `${database}_fresh`;
  const pool = bench.shards.control('job');
  await pool.query(`create database ${fresh}`);
  try {
    for (const [name, value] of Object.entries({statement_timeout: '1ms', default_transaction_read_only: 'on'})) {
      await pool.query(`alter database ${fresh} set ${name} = '${value}'`);
    }
    expect(await migrateShard({...server, database: fresh}, 0)).toBeGreaterThan(0);
  } finally {
    await pool.query(`drop database ${fresh} with (force)`);
  }
});

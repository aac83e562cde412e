import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {until} from '../testing/until.ts';
import {createDeviceKeys} from './device-keys.ts';
import {enrol} from './enrolment.ts';
import {bringRecencyUpToDate} from './recency-pass.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const pass = (fence = (): Promise<void> => Promise.resolve()): Promise<number> =>
  bringRecencyUpToDate(bench.shards.pool(0, 'job'), {fence});

const newDevice = async (): Promise<number> => {
  const deviceId = randomUUID();
  const made = await enrol(bench.shards, createDeviceKeys(bench.shards), {
    deviceId,
    hardwareId: deviceId,
    secretHash: Buffer.alloc(32),
    groupId: 1,
  });
  if (made.kind === 'refused') throw new Error('a new device is let in');
  return made.deviceKey;
};

const recencyOf = async (deviceKey: number) => {
  const {rows} = await bench.shards.pool(0, 'job').query<{
    sync: Date | null;
    seen: Date | null;
  }>('select last_sync_at as sync, last_seen_at as seen from device_recency where device_key = $1', [deviceKey]);
  return rows[0];
};

/** What others have under way on the same server keeps the horizon where it began. */
const passBeyondAllWrites = (): Promise<unknown> =>
  until('the horizon to be past all that was written', async () => {
    await pass();
    const {rows} = await bench.shards
      .pool(0, 'job')
      .query<{isPast: boolean}>('select horizon > (select max(tx_id) from device_state) as "isPast" from recency_pass');
    return rows[0]?.isPast;
  });

const SYNC = `update device_state set last_sync_at = $2, last_seen_at = $2, tx_id = pg_current_xact_id()::text::bigint where device_key = $1`;

test('what was written since the pass before is brought up to date, and nothing else is written', async () => {
  const [one, other] = [await newDevice(), await newDevice()];
  expect(await recencyOf(one)).toEqual({sync: null, seen: null});
  const pool = bench.shards.pool(0, 'ingest');
  const at = new Date('2026-01-02T03:04:05.678Z');
  await pool.query(SYNC, [one, at]);
  expect(await pass()).toBe(1);
  expect(await recencyOf(one)).toEqual({sync: at, seen: at});
  expect(await recencyOf(other)).toEqual({sync: null, seen: null});
  await passBeyondAllWrites();
  // Not looked at: its transaction is said to be of long ago.
  await pool.query('update device_state set last_sync_at = $2 where device_key = $1', [other, at]);
  expect(await pass()).toBe(0);
});

test('what a transaction wrote that went on while a pass ran is found by the next one', async () => {
  const device = await newDevice();
  const at = new Date('2026-02-02T03:04:05.678Z');
  const syncing = await bench.shards.pool(0, 'ingest').connect();
  try {
    await syncing.query('begin');
    await syncing.query(SYNC, [device, at]);
    // Later ones are over before it is.
    await bench.shards.pool(0, 'ingest').query(SYNC, [await newDevice(), at]);
    await pass();
    await syncing.query('commit');
  } finally {
    syncing.release();
  }
  expect(await pass()).toBe(1);
  expect(await recencyOf(device)).toEqual({sync: at, seen: at});
});

test('rows that are gone come again where the horizon is of another database', async () => {
  const device = await newDevice();
  await passBeyondAllWrites();
  const pool = bench.shards.pool(0, 'job');
  await pool.query('delete from device_recency where device_key = $1', [device]);
  expect(await pass()).toBe(0);
  await pool.query('update recency_pass set horizon = horizon + 1000000');
  expect(await pass()).toBeGreaterThan(0);
  expect(await recencyOf(device)).toEqual({sync: null, seen: null});
});

test('where all devices may have called they are brought up to date in parts, and the pass is none before its last one', async () => {
  const devices = [];
  for (let index = 0; index < 20; index++) devices.push(await newDevice());
  const pool = bench.shards.pool(0, 'job');
  const transactions = async (most = Infinity): Promise<number> => {
    let count = 0;
    await pass(() => (++count > most ? Promise.reject(new Error('another keeper acts')) : Promise.resolve()));
    return count;
  };
  for (const [index, away] of [
    'delete from recency_pass',
    `update recency_pass set as_of = as_of - interval '2 hours'`,
  ].entries()) {
    const at = new Date(Date.UTC(2026, 2, 2 + index));
    for (const device of devices) await pool.query(SYNC, [device, at]);
    await pool.query(away);
    const before = await pool.query('select as_of, horizon from recency_pass');
    await expect(transactions(9)).rejects.toThrow('another keeper acts');
    expect((await pool.query('select as_of, horizon from recency_pass')).rows).toEqual(before.rows);
    expect(await transactions()).toBeGreaterThan(10);
    for (const device of devices) expect(await recencyOf(device)).toEqual({sync: at, seen: at});
  }
  expect(await transactions()).toBe(2);
});

import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {insertCommands, listOpenCommands, markDelivered} from '../commands/commands.ts';
import {createDeviceKeys} from '../devices/device-keys.ts';
import {enrol} from '../devices/enrolment.ts';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import {touchLastSeen} from '../devices/last-seen.ts';
import {bringRecencyUpToDate} from '../devices/recency-pass.ts';
import {sweepStatuses} from '../devices/status-sweep.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {databaseFault} from './database-fault.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

/** Far below what a statement may take, far above what these need. */
const SOON_MS = 5_000;

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const enrolled = async (deviceId: string = randomUUID(), secret = 1) => {
  const made = await enrol(bench.shards, createDeviceKeys(bench.shards), {
    deviceId,
    hardwareId: deviceId,
    secretHash: Buffer.alloc(32, secret),
    groupId: DEFAULT_GROUP,
  });
  if (made.kind === 'refused') throw new Error('a new device is let in');
  return {deviceId, deviceKey: made.deviceKey, slot: made.slot};
};

/** Devices that have been late for an hour, and whose status does not say so yet. */
const makeLate = async (keys: readonly number[]): Promise<void> => {
  const pool = bench.shards.pool(0, 'job');
  await pool.query(
    `update device_state set last_sync_at = now() - interval '27 h', last_seen_at = now() - interval '27 h' where device_key = any($1)`,
    [keys],
  );
  await pool.query(
    `insert into device_check (check_at, device_key) select now() - interval '1 h', key from unnest($1::bigint[]) key`,
    [keys],
  );
};

/** Holds the rows of a device in a table, as a person in psql does, while `work` runs. */
const whileHeld = async <T>(table: string, deviceKey: number, work: () => Promise<T>): Promise<T> => {
  const person = new pg.Client(bench.target(0));
  await person.connect();
  try {
    await person.query('begin');
    const {rowCount} = await person.query(`select from ${table} where device_key = $1 for update`, [deviceKey]);
    if (rowCount === 0) throw new Error(`${table} has no row of device ${deviceKey}`);
    return await work();
  } finally {
    await person.end();
  }
};

const timed = async <T>(work: () => Promise<T>): Promise<{readonly value: T; readonly ms: number}> => {
  const began = performance.now();
  const value = await work();
  return {value, ms: performance.now() - began};
};

test('an enrolment whose row somebody holds gives its connection back soon and says why', async () => {
  const device = await enrolled();
  const {value, ms} = await whileHeld('device', device.deviceKey, () =>
    timed(() => enrolled(device.deviceId, 2).then(() => 'enrolled', databaseFault)),
  );
  expect(value).toBe('held');
  expect(ms).toBeLessThan(SOON_MS);
});

test('a command whose row somebody holds is marked the next time, and the others now', async () => {
  const devices = [await enrolled(), await enrolled()];
  const pool = bench.shards.pool(0, 'ingest');
  const commands = devices.map(({deviceKey, slot}) => ({
    ...{commandId: randomUUID(), requestId: randomUUID(), deviceKey, slot, type: 'sync.full' as const, params: {}},
    ...{priority: 'normal' as const, createdAtMs: Date.now(), lifetimeMs: 60_000},
  }));
  const client = await pool.connect();
  await insertCommands(client, commands);
  client.release();
  const mark = () => timed(() => markDelivered(bench.shards, commands, Date.now()));
  const delivered = async (): Promise<readonly boolean[]> =>
    Promise.all(
      devices.map(async (device) => (await listOpenCommands(bench.shards, device, 1))[0]?.deliveredAt !== null),
    );
  const {ms} = await whileHeld('device_command', devices[0]?.deviceKey ?? 0, mark);
  expect(await delivered()).toEqual([false, true]);
  expect(ms).toBeLessThan(SOON_MS);
  await mark();
  expect(await delivered()).toEqual([true, true]);
});

test('signs of life of others are written while somebody holds a row, and that of its device is left for the next time', async () => {
  const [held, other] = [await enrolled(), await enrolled()];
  const seenAtMs = Date.now();
  const [left, ...rest] = [held, other].map(({deviceKey, slot}) => ({deviceKey, slot, seenAtMs}));
  if (left === undefined) throw new Error('two devices were seen');
  const gone = {...left, deviceKey: left.deviceKey - 1_000_000};
  const {value, ms} = await whileHeld('device_state', held.deviceKey, () =>
    timed(() => touchLastSeen(bench.shards, [left, ...rest, gone])),
  );
  expect(value).toEqual([{sightings: [left]}]);
  expect(ms).toBeLessThan(SOON_MS);
  const seen = async (): Promise<readonly unknown[]> => {
    const {rows} = await bench.shards
      .pool(0, 'job')
      .query<{deviceKey: number}>(
        'select device_key as "deviceKey" from device_state where last_seen_at = to_timestamp($1::float8 / 1000) order by 1',
        [seenAtMs],
      );
    return rows.map(({deviceKey}) => deviceKey);
  };
  expect(await seen()).toEqual([other.deviceKey]);
  expect(await touchLastSeen(bench.shards, [left])).toEqual([]);
  expect(await seen()).toEqual([held.deviceKey, other.deviceKey].sort((a, b) => a - b));
});

test.each(['device_state', 'device_status', 'device_check'])(
  'a sweep passes over a device whose row in %s somebody holds, which stays due',
  async (table) => {
    const [held, other] = [await enrolled(), await enrolled()];
    const pool = bench.shards.pool(0, 'job');
    const keys = [held.deviceKey, other.deviceKey];
    await makeLate(keys);
    const sweep = () => sweepStatuses(pool, {fence: () => Promise.resolve()});
    expect((await whileHeld(table, held.deviceKey, () => timed(sweep))).value).toBe(1);
    expect(await sweep()).toBe(1);
  },
);

test('devices come back by their heartbeats while somebody holds the check of one of them', async () => {
  const devices = [await enrolled(), await enrolled()];
  const pool = bench.shards.pool(0, 'job');
  const keys = devices.map(({deviceKey}) => deviceKey);
  await makeLate(keys);
  const sweep = () => sweepStatuses(pool, {fence: () => Promise.resolve()});
  expect(await sweep()).toBe(2);
  const statuses = async (): Promise<readonly string[]> => {
    const {rows} = await pool.query<{status: string}>(
      'select status from device_status where device_key = any($1) order by 1',
      [keys],
    );
    return rows.map(({status}) => status);
  };
  expect(await statuses()).toEqual(['late', 'late']);
  const seenAtMs = Date.now();
  const left = await whileHeld('device_check', devices[0]?.deviceKey ?? 0, () =>
    touchLastSeen(
      bench.shards,
      devices.map(({deviceKey, slot}) => ({deviceKey, slot, seenAtMs})),
    ),
  );
  expect({left, statuses: await statuses()}).toEqual({left: [], statuses: ['on_time', 'on_time']});
  // The check that could not go comes too early, and changes nothing.
  await pool.query(`update device_check set check_at = now() - interval '1 h' where device_key = any($1)`, [
    keys.slice(1),
  ]);
  expect({changed: await sweep(), statuses: await statuses()}).toEqual({
    changed: 0,
    statuses: ['on_time', 'on_time'],
  });
});

test('a pass over the recency of devices passes over a row that somebody holds, and comes to it the next time', async () => {
  const [held, other, third] = [await enrolled(), await enrolled(), await enrolled()];
  const pool = bench.shards.pool(0, 'job');
  const pass = () => bringRecencyUpToDate(pool, {fence: () => Promise.resolve()});
  const sync = (deviceKeys: readonly number[]): Promise<unknown> =>
    pool.query(
      'update device_state set last_seen_at = now(), tx_id = pg_current_xact_id()::text::bigint where device_key = any($1)',
      [deviceKeys],
    );
  await pass();
  await sync([held.deviceKey, other.deviceKey]);
  const duringMs = await whileHeld('device_recency', held.deviceKey, async () => {
    const {value, ms} = await timed(pass);
    expect(value).toBe(1);
    await sync([third.deviceKey]);
    expect(await pass()).toBe(1);
    return ms;
  });
  expect(duringMs).toBeLessThan(SOON_MS);
  expect(await pass()).toBe(1);
  expect(await pass()).toBe(0);
});

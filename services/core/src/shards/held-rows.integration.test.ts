import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {insertCommands, listOpenCommands, markDelivered} from '../commands/commands.ts';
import {createDeviceKeys} from '../devices/device-keys.ts';
import {enrol} from '../devices/enrolment.ts';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import {touchLastSeen} from '../devices/last-seen.ts';
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

test.each(['device_state', 'device_status'])(
  'a sweep passes over a device whose row in %s somebody holds, which stays due',
  async (table) => {
    const [held, other] = [await enrolled(), await enrolled()];
    const pool = bench.shards.pool(0, 'job');
    const keys = [held.deviceKey, other.deviceKey];
    await pool.query(
      `update device_state set last_sync_at = now() - interval '27 h', last_seen_at = now() - interval '27 h' where device_key = any($1)`,
      [keys],
    );
    await pool.query(
      `insert into device_check (check_at, device_key) select now() - interval '1 h', key from unnest($1::bigint[]) key`,
      [keys],
    );
    const sweep = () => sweepStatuses(pool, {fence: () => Promise.resolve()});
    expect((await whileHeld(table, held.deviceKey, () => timed(sweep))).value).toBe(1);
    expect(await sweep()).toBe(1);
  },
);

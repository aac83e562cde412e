import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import type pg from 'pg';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {countDevices} from '../queries/devices.ts';
import {createDeviceKeys} from './device-keys.ts';
import {enrol} from './enrolment.ts';
import {sweepStatuses} from './status-sweep.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const HOUR_MS = 3_600_000;
/** Nobody else sweeps. @returns how many statuses changed */
const sweepOf = (shard: number): Promise<number> =>
  sweepStatuses(bench.shards.pool(shard, 'job'), {fence: () => Promise.resolve()});

const checkAt = (pool: Pick<pg.Pool, 'query'>, deviceKey: number, at: Date): Promise<unknown> =>
  pool.query('insert into device_check (check_at, device_key) values ($2, $1)', [deviceKey, at]);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
});
afterAll(() => bench.close());

test('time makes devices late and then silent, and a sync brings them back; a failing one stays so until it is late', async () => {
  const now = Date.now();
  const keys = createDeviceKeys(bench.shards);
  const ages: Readonly<Record<string, number>> = {
    'on-time': 1,
    late: 27,
    silent: 73,
    'failing-recent': 1,
    'failing-late': 27,
  };
  const groupId = 4711;
  for (const [name, hours] of Object.entries(ages)) {
    const deviceId = crypto.randomUUID();
    const made = await enrol(bench.shards, keys, {deviceId, hardwareId: name, secretHash: Buffer.alloc(32), groupId});
    if (made.kind === 'refused') throw new Error('a new device is let in');
    const pool = bench.shards.pool(bench.shards.shardOfDevice(deviceId), 'job');
    const at = new Date(now - hours * HOUR_MS);
    await pool.query('update device_state set last_sync_at = $2, last_seen_at = $2 where device_key = $1', [
      made.deviceKey,
      at,
    ]);
    const isFailing = name.startsWith('failing');
    const status = isFailing ? 'failing' : 'pending';
    await pool.query('update device_status set status = $2, is_failing = $3 where device_key = $1', [
      ...[made.deviceKey, status, isFailing],
    ]);
    await checkAt(pool, made.deviceKey, new Date(now - 60_000));
  }
  const sweep = (): Promise<readonly number[]> => Promise.all(bench.shards.ids().map((shard) => sweepOf(shard)));
  expect((await sweep()).reduce((a, b) => a + b)).toBe(4);
  expect(await sweep()).toEqual([0, 0]);
  const counts = new Map<string, number>();
  for (const shard of bench.shards.ids()) {
    for (const one of await countDevices(bench.shards, shard, () => 10_000)) {
      if (one.groupId === groupId) counts.set(one.status, (counts.get(one.status) ?? 0) + one.count);
    }
  }
  expect(Object.fromEntries(counts)).toEqual({on_time: 1, late: 2, silent: 1, failing: 1});
});

test('a sync that comes while statuses are swept is never overwritten, and where one came since, the check is only put off', async () => {
  const now = Date.now();
  const deviceId = crypto.randomUUID();
  const made = await enrol(bench.shards, createDeviceKeys(bench.shards), {
    deviceId,
    hardwareId: deviceId,
    secretHash: Buffer.alloc(32),
    groupId: 4712,
  });
  if (made.kind === 'refused') throw new Error('a new device is let in');
  const shard = bench.shards.shardOfDevice(deviceId);
  const key = [made.deviceKey];
  const syncing = await bench.shards.pool(shard, 'ingest').connect();
  const status = async () => {
    const found = await syncing.query<{status: string; checksIn: readonly number[] | null}>(
      `select status, (select array_agg(round(extract(epoch from check_at - now()) / 3600)::int) from device_check c where c.device_key = t.device_key) as "checksIn"
       from device_status t where device_key = $1`,
      key,
    );
    return found.rows[0];
  };
  /** So many hours pass for the device: statuses go by the shard's clock, which nobody moves. */
  const pass = (hours: number) =>
    syncing.query(
      `with c as (update device_check set check_at = check_at - $2 * interval '1 h' where device_key = $1),
            t as (update device_status set last_seen_at = last_seen_at - $2 * interval '1 h' where device_key = $1 and last_seen_at is not null)
       update device_state set last_sync_at = last_sync_at - $2 * interval '1 h', last_seen_at = last_seen_at - $2 * interval '1 h'
       where device_key = $1`,
      [made.deviceKey, hours],
    );
  try {
    await syncing.query(
      `update device_state set last_sync_at = $2::timestamptz - interval '27 hours', last_seen_at = $2::timestamptz - interval '27 hours'
       where device_key = $1`,
      [made.deviceKey, new Date(now)],
    );
    await syncing.query(`update device_status set status = 'on_time' where device_key = $1`, key);
    await checkAt(syncing, made.deviceKey, new Date(now - HOUR_MS));
    // As a worker does it: the row of the state first, and the status only where it is another one.
    await syncing.query('begin');
    await syncing.query('update device_state set last_sync_at = $2, last_seen_at = $2 where device_key = $1', [
      made.deviceKey,
      new Date(now),
    ]);
    expect(await sweepOf(shard)).toBe(0);
    await syncing.query(
      `update device_status set status = 'on_time' where device_key = $1 and status <> 'on_time'`,
      key,
    );
    await syncing.query('commit');
    expect(await status()).toEqual({status: 'on_time', checksIn: [-1]});
    expect(await sweepOf(shard)).toBe(0);
    expect(await status()).toEqual({status: 'on_time', checksIn: [26]});
    // Without a sync it is late in time, and then silent.
    await pass(26);
    await sweepOf(shard);
    expect(await status()).toEqual({status: 'late', checksIn: [46]});
    await pass(46);
    await sweepOf(shard);
    expect(await status()).toEqual({status: 'silent', checksIn: null});
  } finally {
    syncing.release();
  }
});

test('a check of a device that is gone goes', async () => {
  const pool = bench.shards.pool(0, 'job');
  const deviceKey = 7;
  await checkAt(pool, deviceKey, new Date(0));
  expect(await sweepOf(0)).toBe(0);
  expect((await pool.query('select from device_check where device_key = $1', [deviceKey])).rowCount).toBe(0);
});

test('a slot that a shard does not own waits, and the others are swept, whatever shard 0 says', async () => {
  const keys = createDeviceKeys(bench.shards);
  const pool = bench.shards.pool(0, 'job');
  const devices: {readonly deviceKey: number; readonly slot: number}[] = [];
  while (devices.length < 2) {
    const deviceId = crypto.randomUUID();
    if (bench.shards.shardOfDevice(deviceId) !== 0) continue;
    const made = await enrol(bench.shards, keys, {
      deviceId,
      hardwareId: deviceId,
      secretHash: Buffer.alloc(32),
      groupId: 4713,
    });
    if (made.kind === 'refused') throw new Error(`a new device was refused: ${made.why}`);
    devices.push({deviceKey: made.deviceKey, slot: bench.shards.slotOf(deviceId)});
  }
  const [lost, kept] = devices;
  if (lost === undefined || kept === undefined) throw new Error('two devices were enrolled');
  expect(lost.slot).not.toBe(kept.slot);
  for (const {deviceKey} of devices) {
    await pool.query(
      `update device_state set last_sync_at = now() - interval '27 hours', last_seen_at = now() - interval '27 hours' where device_key = $1`,
      [deviceKey],
    );
    await pool.query(`update device_status set status = 'on_time' where device_key = $1`, [deviceKey]);
    await checkAt(pool, deviceKey, new Date(0));
  }
  const own = (state: string) => pool.query('update slot_owner set state = $2 where slot = $1', [lost.slot, state]);
  await own('none');
  try {
    expect(await sweepOf(0)).toBe(1);
  } finally {
    await own('owned');
  }
  expect(await sweepOf(0)).toBe(1);
});

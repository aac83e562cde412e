import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {findDevice} from '@pisync/core/queries/devices';
import {until} from '@pisync/core/testing/until';
import {startTestDeviceApi, type TestDeviceApi} from '../testing/test-device-api.ts';

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi();
}, 60_000);
afterAll(async () => {
  await api.stop();
}, 60_000);

const heartbeat = (auth: Readonly<Record<string, string>>) =>
  api.call('POST', '/v1/sync', auth, JSON.stringify({epoch: 'e1', batchSeq: 0, mode: 'heartbeat', records: []}));

test('a heartbeat moves last-seen without a queue', async () => {
  const device = await api.enrol();
  await api.drain(0);
  // 503 where the shard takes longer than the device should wait: it asks again.
  const {json} = await until(
    'an answer',
    () => heartbeat(device.auth),
    ({status}) => status !== 503,
  );
  expect(json).toMatchObject({applied: 0, duplicate: false});
  expect(await api.drain(0)).toEqual([]);
  const {shards} = api.databases;
  const deviceId = String(device.json.deviceId);
  await until('last_seen_at to be written', async () => {
    const found = await shards
      .pool(shards.shardOfDevice(deviceId), 'job')
      .query(
        'select 1 from device join device_state using (device_key, device_id) where device_id = $1 and last_seen_at is not null',
        [deviceId],
      );
    return found.rowCount === 1;
  });
});

test('a heartbeat brings a device back that was late, as one that fails if its last batch could not be applied', async () => {
  const {shards} = api.databases;
  for (const [isFailing, status] of [
    [false, 'on_time'],
    [true, 'failing'],
  ] as const) {
    const device = await api.enrol();
    const deviceId = String(device.json.deviceId);
    const pool = shards.pool(shards.shardOfDevice(deviceId), 'job');
    await pool.query(
      `with d as (select device_key from device where device_id = $1),
            s as (update device_state set last_sync_at = now() - interval '80 h', last_seen_at = now() - interval '80 h' where device_key in (select device_key from d))
       update device_status set status = 'silent', last_seen_at = now() - interval '80 h', is_failing = $2 where device_key in (select device_key from d)`,
      [deviceId, isFailing],
    );
    await until(
      'an answer',
      () => heartbeat(device.auth),
      ({status: answered}) => answered === 200,
    );
    await until(
      `the device to be ${status}`,
      () => findDevice(shards, deviceId),
      (found) => found?.status === status,
    );
  }
});

import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import {startTestDeviceApi, type TestDeviceApi} from '../testing/test-device-api.ts';

jest.setTimeout(60_000);

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi();
});
afterAll(() => api.stop());

test('a heartbeat says what the shard has, also where a hint lags: a device that was restarted numbers on from there', async () => {
  const device = await api.enrol();
  const body = JSON.stringify({epoch: 'e1', batchSeq: 0, mode: 'heartbeat'});
  // 503 where the shard takes longer than the device should wait: it asks again.
  const applied = async (): Promise<unknown> => {
    const answered = await until(
      'an answer',
      () => api.call('POST', '/v1/sync', device.auth, body),
      ({status}) => status !== 503,
    );
    return answered.json.applied;
  };
  expect(await applied()).toBe(0);
  const {shards} = api.databases;
  const deviceId = String(device.json.deviceId);
  // Nobody tells Redis.
  await shards
    .pool(shards.shardOfDevice(deviceId), 'job')
    .query(
      'update device_state set applied_through = 5 where device_key = (select device_key from device where device_id = $1)',
      [deviceId],
    );
  expect(await applied()).toBe(5);
});

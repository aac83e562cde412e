import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {announceCredential, invalidateCredential} from '@pisync/core/cache/credential-entries';
import {changeDevice, type Standing} from '@pisync/core/devices/change-device';
import {until} from '@pisync/core/testing/until';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

jest.setTimeout(60_000);

const BY_ANN = {
  scope: undefined,
  actor: {name: 'ann', tokenId: null, role: 'admin', requestId: undefined, address: undefined},
  groups: {nameOf: String},
} as const;

let api: TestDeviceApi;
/** By which the API's own time is ahead. */
let skewMs = 0;

beforeAll(async () => {
  api = await startTestDeviceApi({now: () => performance.now() + skewMs});
});
afterAll(() => api.stop());

const enrolled = async () => {
  const {auth, json, hardwareId, secret} = await api.enrol();
  return {auth, hardwareId, secret, deviceId: String(json.deviceId)};
};
type Enrolled = Awaited<ReturnType<typeof enrolled>>;

const heartbeat = ({auth}: Enrolled) =>
  api.call('POST', '/v1/sync', auth, JSON.stringify({epoch: 'e1', batchSeq: 0, mode: 'heartbeat'}));
const statusOf = async (device: Enrolled): Promise<number> => (await heartbeat(device)).status;

const put = async ({deviceId}: Enrolled, standing: Standing): Promise<void> => {
  const outcome = await changeDevice(api.databases.shards, {deviceId, change: {standing}, ...BY_ANN});
  expect(outcome.kind).toBe('done');
};

test.each(['revoked', 'decommissioned'] as const)(
  'a device that is %s is shut out where it was known, also from enrolling, and goes on once it is let in again',
  async (standing) => {
    const device = await enrolled();
    expect(await statusOf(device)).toBe(200);
    await put(device, standing);
    const tell = () =>
      api.cache.use((redis) =>
        Promise.all([invalidateCredential(redis, device.deviceId), announceCredential(redis, device.deviceId)]),
      );
    await tell();
    await until(
      'it to be shut out',
      () => statusOf(device),
      (status) => status === 403,
      5_000,
    );
    expect((await heartbeat(device)).json).toMatchObject({code: 'forbidden'});
    expect((await api.enrol(device.hardwareId)).json).toMatchObject({status: 403, code: 'forbidden'});
    await put(device, 'active');
    await tell();
    await until(
      'it to be let in',
      () => statusOf(device),
      (status) => status === 200,
      5_000,
    );
  },
);

test('a process that did not hear of a revocation lets the device in for five seconds at most', async () => {
  const device = await enrolled();
  expect(await statusOf(device)).toBe(200);
  await put(device, 'revoked');
  // Nothing is announced.
  await api.cache.use((redis) => invalidateCredential(redis, device.deviceId));
  skewMs += 5_000;
  expect(await statusOf(device)).toBe(403);
});

test('without Redis a revoked device is let in for five seconds at most', async () => {
  const alone = await startTestDeviceApi({now: () => performance.now() + skewMs, redisPort: 1});
  try {
    const {auth, json} = await alone.enrol();
    const call = async (): Promise<number> =>
      (await alone.call('POST', '/v1/sync', auth, JSON.stringify({epoch: 'e1', batchSeq: 0, mode: 'heartbeat'})))
        .status;
    expect(await call()).toBe(200);
    const deviceId = String(json.deviceId);
    await changeDevice(alone.databases.shards, {deviceId, change: {standing: 'revoked'}, ...BY_ANN});
    skewMs += 5_000;
    expect(await call()).toBe(403);
  } finally {
    await alone.stop();
  }
});

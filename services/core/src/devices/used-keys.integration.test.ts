import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {createDeviceKeys, type DeviceKeys} from './device-keys.ts';
import {enrol} from './enrolment.ts';
import {DEFAULT_GROUP} from './groups.ts';
import {findPosition} from './position.ts';
import {tokenHash} from './tokens.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

/** A new device of the slot. */
const enrolIn = async (slot: number, keys: DeviceKeys) => {
  let deviceId = randomUUID();
  while (bench.shards.slotOf(deviceId) !== slot) deviceId = randomUUID();
  const request = {deviceId, hardwareId: deviceId, secretHash: tokenHash(deviceId), groupId: DEFAULT_GROUP};
  const made = await enrol(bench.shards, keys, request);
  if (made.kind !== 'created') throw new Error('a new device is let in');
  return {deviceId, deviceKey: made.deviceKey, slot};
};

interface Sequence {
  readonly last_value: number;
  readonly is_called: boolean;
}

/** What a backup has of it. */
const backUp = async (): Promise<() => Promise<unknown>> => {
  const control = bench.shards.control('job');
  const {rows} = await control.query<Sequence>('select last_value, is_called from control.device_key_block');
  return () =>
    control.query(`select setval('control.device_key_block', $1, $2)`, [rows[0]?.last_value, rows[0]?.is_called]);
};

test('a device gets a key of its own although shard 0 was restored and hands out keys once more', async () => {
  const restore = await backUp();
  const first = await enrolIn(7, createDeviceKeys(bench.shards));
  await restore();
  const keys = createDeviceKeys(bench.shards);
  const second = await enrolIn(7, keys);
  const third = await enrolIn(7, keys);
  expect([second.deviceKey - first.deviceKey, third.deviceKey - first.deviceKey]).toEqual([1000, 1001]);
});

test('an enrolment that meets used keys only says what to do, and a later one is beyond them', async () => {
  const restore = await backUp();
  for (let block = 0; block < 5; block++) await enrolIn(8, createDeviceKeys(bench.shards));
  await restore();
  const keys = createDeviceKeys(bench.shards);
  await expect(enrolIn(8, keys)).rejects.toThrow('see VolumeReplaced in the runbook');
  await enrolIn(8, keys);
});

test('a device whose key is another one’s by now has no position, so it is told nothing of that one', async () => {
  const device = await enrolIn(9, createDeviceKeys(bench.shards));
  expect(await findPosition(bench.shards, device, 1)).toMatchObject({appliedThrough: 0});
  expect(await findPosition(bench.shards, {...device, deviceId: randomUUID()}, 1)).toBeUndefined();
});

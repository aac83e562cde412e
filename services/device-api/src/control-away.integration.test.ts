import {randomBytes, randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {enrol} from '@pisync/core/devices/enrolment';
import {tokenHash} from '@pisync/core/devices/tokens';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

/** Nothing listens there. */
const NOWHERE = 1;

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi({shardPorts: new Map([[0, NOWHERE]]), savedSlotMap: true});
}, 60_000);
afterAll(async () => {
  await api.stop();
}, 60_000);

test('a process that starts while shard 0 is away serves the devices of the other shards', async () => {
  const {shards} = api.databases;
  let deviceId = randomUUID();
  while (shards.shardOfDevice(deviceId) !== 1) deviceId = randomUUID();
  const secret = randomBytes(32).toString('base64url');
  await enrol(shards, createDeviceKeys(shards), {
    deviceId,
    hardwareId: `hw-${deviceId}`,
    secretHash: tokenHash(secret),
    groupId: DEFAULT_GROUP,
  });
  const answer = await api.call(
    'POST',
    '/v1/sync',
    {authorization: `Bearer ps_${deviceId}.${secret}`},
    JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', records: []}),
  );
  expect(answer).toMatchObject({status: 200, json: {accepted: 1, applied: 0}});
});

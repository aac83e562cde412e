import {randomBytes, randomUUID} from 'node:crypto';
import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {enrol} from '@pisync/core/devices/enrolment';
import {tokenHash} from '@pisync/core/devices/tokens';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {deviceIdOf} from './enrol/device-id.ts';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

/** Far above what a call takes, and below what waiting for a shard that hangs takes. */
const SOON_MS = 2_000;

/** Stands before shard 0. */
let proxy: MuteProxy;
let api: TestDeviceApi | undefined;
beforeAll(async () => {
  proxy = await openMuteProxy(new URL(process.env.PISYNC_TEST_POSTGRES_URL ?? ''));
});
afterEach(async () => {
  proxy.cut();
  await api?.stop();
});
afterAll(() => proxy.close());

test.each([
  {how: 'refuses connections', state: {mute: false, refuse: true}},
  {how: 'takes connections and never answers', state: {mute: true, refuse: false}},
])('a process that starts while shard 0 $how serves the devices of the other shards', async ({state}) => {
  Object.assign(proxy.state, state);
  const started = await startTestDeviceApi({shardPorts: new Map([[0, proxy.port]]), savedSlotMap: true});
  api = started;
  const {shards} = started.databases;
  let hardwareId = randomUUID();
  while (shards.shardOfDevice(deviceIdOf(hardwareId)) !== 1) hardwareId = randomUUID();
  const deviceId = deviceIdOf(hardwareId);
  const secret = randomBytes(32).toString('base64url');
  await enrol(shards, createDeviceKeys(shards), {
    deviceId,
    hardwareId,
    secretHash: tokenHash(secret),
    groupId: DEFAULT_GROUP,
  });
  await started.putSecretToken('of-the-secret');
  const soon = async (path: string, token: string, body: object) => {
    const began = performance.now();
    const answer = await started.call('POST', path, {authorization: `Bearer ${token}`}, JSON.stringify(body));
    expect(performance.now() - began).toBeLessThan(SOON_MS);
    return answer;
  };
  const sync = (own: string, body: object) => soon('/v1/sync', `ps_${deviceId}.${own}`, body);
  const enrolAgain = (own: string) => soon('/v1/enroll', 'of-the-secret', {hardwareId, secret: own});

  expect(await sync(secret, {epoch: 'e1', batchSeq: 0, mode: 'heartbeat'})).toMatchObject({status: 200});
  expect(await sync(secret, {epoch: 'e1', batchSeq: 1, mode: 'delta', records: []})).toMatchObject({
    status: 200,
    json: {accepted: 1, applied: 0},
  });
  expect(await enrolAgain(secret)).toMatchObject({status: 200, json: {epoch: 'e1'}});
  // Its card was re-imaged.
  const other = randomBytes(32).toString('base64url');
  expect(await enrolAgain(other)).toMatchObject({status: 200, json: {epoch: 'e2'}});
  expect(await sync(other, {epoch: 'e2', batchSeq: 1, mode: 'delta', records: []})).toMatchObject({
    status: 200,
    json: {accepted: 1},
  });
});

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {createPublisher, type Publisher} from '@pisync/core/broker/publisher';
import {decodeSyncRequest, publishSyncRequest, type SyncRequest} from '@pisync/core/broker/sync-request';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {silentLog} from '../testing/silent-log.ts';
import {Registry} from 'prom-client';
import {type SeededDevice, seedApiToken, seedDevices} from '../testing/seed.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';
import {openTestBroker, type TestBroker} from '../testing/test-broker.ts';

let region: TestShards;
let broker: TestBroker;
let publisher: Publisher;
let api: TestApi;
let device: SeededDevice;
let operator: string;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  const [seeded] = await seedDevices(region.shards, 1);
  if (seeded === undefined) throw new Error('no device was seeded');
  device = seeded;
  operator = await seedApiToken(region.shards, 'operator');
  broker = openTestBroker(1);
  publisher = createPublisher({
    connection: broker.connection,
    declare: (channel) => assertBrokerTopology(channel, broker.names, broker.partitions),
    confirmTimeoutMs: 5000,
    log: silentLog,
    registry: new Registry(),
  });
  await until(
    'the publisher to open',
    () => publisher.trouble(),
    (trouble) => trouble === undefined,
  );
  api = await startTestApi({
    shards: region.shards,
    cache: {use: () => Promise.resolve(undefined)},
    publish: (request) => publishSyncRequest(publisher, broker.names, request),
  });
}, 60_000);

afterAll(async () => {
  await api.close();
  await publisher.close();
  await broker.close();
  await region.close();
}, 30_000);

const next = async (priority: 'high' | 'normal'): Promise<SyncRequest | undefined> => {
  const channel = await (await broker.connection.ready()).createChannel();
  try {
    const message = await channel.get(broker.names.requests.queue(priority), {noAck: true});
    return message === false ? undefined : decodeSyncRequest(message.content);
  } finally {
    await channel.close();
  }
};

test.each([
  [{}, 'normal', 'delta'],
  [{syncType: 'full'}, 'normal', 'full'],
  [{syncType: 'full', force: true}, 'high', 'full'],
] as const)('the request %j is in the queue "%s" when the answer comes', async (body, priority, syncType) => {
  const answer = await api.call('POST', `/api/v1/devices/${device.id.toUpperCase()}/sync`, {token: operator, body});
  expect(answer.status).toBe(202);
  const request = await next(priority);
  expect(request).toMatchObject({deviceId: device.id, syncType, priority});
  expect(answer.body).toEqual({success: true, requestId: request?.requestId});
});

test('nothing is queued for a device that is unknown or revoked', async () => {
  const unknown = '00000000-0000-4000-8000-000000000000';
  const call = async (id: string): Promise<number> =>
    (await api.call('POST', `/api/v1/devices/${id}/sync`, {token: operator, body: {}})).status;
  expect(await call(unknown)).toBe(404);
  const pool = region.shards.pool(device.shard, 'job');
  await pool.query('update device set revoked_at = now() where device_key = $1', [device.deviceKey]);
  expect(await call(device.id)).toBe(409);
  await pool.query('update device set revoked_at = null where device_key = $1', [device.deviceKey]);
  expect(await next('normal')).toBeUndefined();
});

test('a broker that cannot be used is a 503, not a false promise', async () => {
  const broken = await startTestApi({
    shards: region.shards,
    cache: {use: () => Promise.resolve(undefined)},
    publish: (request) =>
      publishSyncRequest(
        publisher,
        {...broker.names, requests: {...broker.names.requests, exchange: broker.names.batches.exchange}},
        request,
      ),
  });
  try {
    const answer = await broken.call('POST', `/api/v1/devices/${device.id}/sync`, {token: operator, body: {}});
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({code: 'broker-unavailable'});
  } finally {
    await broken.close();
  }
});

import {randomBytes} from 'node:crypto';
import {performance} from 'node:perf_hooks';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {openBrokerConnection, type BrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {createPublisher, type Publisher} from '@pisync/core/broker/publisher';
import {decodeSyncRequest, publishSyncRequest, type SyncRequest} from '@pisync/core/broker/sync-request';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type SeededDevice, seedApiToken, seedDevices} from '../testing/seed.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';

const brokerUrl = (): URL => {
  const text = process.env['PISYNC_TEST_AMQP_URL'];
  if (text === undefined || text === '')
    throw new Error('PISYNC_TEST_AMQP_URL is not set: it names a RabbitMQ for tests');
  return new URL(text);
};

const DEADLINE_MS = 15_000;
const PARTITIONS = 1;

let region: TestShards;
let connection: BrokerConnection;
let publisher: Publisher;
let api: TestApi;
let device: SeededDevice;
let operator: string;
const names = brokerNames(`test-${randomBytes(5).toString('hex')}`);

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  const [seeded] = await seedDevices(region.shards, 1);
  if (seeded === undefined) throw new Error('no device was seeded');
  device = seeded;
  operator = await seedApiToken(region.shards, 'operator');
  const url = brokerUrl();
  const log = pino({level: 'silent'});
  connection = openBrokerConnection({
    address: () =>
      Promise.resolve({
        host: url.hostname,
        port: Number(url.port),
        vhost: url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : '/',
        username: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      }),
    name: 'admin-api-test',
    log,
    random: Math.random,
  });
  publisher = createPublisher({
    connection,
    names,
    partitions: PARTITIONS,
    confirmTimeoutMs: 5000,
    log,
    registry: new Registry(),
  });
  const deadline = performance.now() + DEADLINE_MS;
  while (publisher.trouble() !== undefined) {
    if (performance.now() > deadline) throw new Error(`the broker cannot be used: ${publisher.trouble() ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  api = await startTestApi({
    shards: region.shards,
    cache: {use: () => Promise.resolve(undefined)},
    publish: (request) => publishSyncRequest(publisher, names, request),
  });
}, 60_000);

afterAll(async () => {
  const channel = await (await connection.ready()).createChannel();
  for (const priority of QUEUE_PRIORITIES) {
    await channel.deleteQueue(names.requests.queue(priority));
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await channel.deleteQueue(names.batches.queue(partition, priority));
    }
  }
  for (const rung of RETRY_RUNGS) {
    await channel.deleteQueue(names.retry.queue(rung));
    await channel.deleteExchange(names.retry.exchange(rung));
  }
  await channel.deleteExchange(names.batches.exchange);
  await channel.deleteExchange(names.requests.exchange);
  await api.close();
  await publisher.close();
  await connection.close();
  await region.close();
}, 30_000);

const next = async (priority: 'high' | 'normal'): Promise<SyncRequest | undefined> => {
  const channel = await (await connection.ready()).createChannel();
  try {
    const message = await channel.get(names.requests.queue(priority), {noAck: true});
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
  const nowhere = brokerNames('nobody-declared-this');
  const broken = await startTestApi({
    shards: region.shards,
    cache: {use: () => Promise.resolve(undefined)},
    publish: (request) =>
      publishSyncRequest(
        publisher,
        {...names, requests: {...nowhere.requests, exchange: names.batches.exchange}},
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

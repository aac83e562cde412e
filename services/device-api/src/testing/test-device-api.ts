import {randomBytes, randomUUID} from 'node:crypto';
import {mkdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {connect} from 'amqplib';
import {type Logger, pino} from 'pino';
import {Registry} from 'prom-client';
import {type BundleItem, decodeBundle} from '@pisync/core/broker/bundle';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {openBrokerConnection} from '@pisync/core/broker/connection';
import {createConsumer} from '@pisync/core/broker/consumer';
import {createPublisher} from '@pisync/core/broker/publisher';
import {brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {openCache} from '@pisync/core/cache/cache';
import {tokenHash} from '@pisync/core/devices/tokens';
import {createLifecycle} from '@pisync/core/lifecycle/lifecycle';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import type {Tracer} from '@pisync/core/telemetry/tracing';
import {createSecretToken} from '@pisync/core/secrets/secret-token';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {encodeSlotMap} from '@pisync/core/shards/saved-slot-map';
import {openShards} from '@pisync/core/shards/shards';
import {serverAddress} from '@pisync/core/testing/server-address';
import {createTestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {startDeviceApi} from '../service.ts';

const PARTITIONS = 2;

export interface TestDeviceApiOptions {
  /** Port of a proxy on this machine that stands between the API and the broker. */
  readonly brokerPort?: number;
  /** Port of a server on this machine that is asked in Redis' place. */
  readonly redisPort?: number;
  /** Ports of proxies on this machine that stand between the API and shards, by shard. */
  readonly shardPorts?: ReadonlyMap<number, number>;
  /** The slot map as it was before the API's start lies in a file, for when shard 0 does not answer. */
  readonly savedSlotMap?: true;
  readonly deviceBurst?: number;
  readonly deviceBurstBytes?: number;
  /** What the region is made for, which people may change meanwhile. */
  readonly devices?: () => number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  readonly tracer?: Tracer | undefined;
  readonly log?: Logger;
}

/** A device-api with databases, queues and an enrolment token of its own on the test servers. */
export const startTestDeviceApi = async (options: TestDeviceApiOptions = {}) => {
  const amqp = serverAddress('PISYNC_TEST_AMQP_URL');
  const redis = serverAddress('PISYNC_TEST_REDIS_URL');
  const {log = pino({level: 'silent'})} = options;
  const names = brokerNames(`test-${randomBytes(4).toString('hex')}`);
  const life = createLifecycle({log, timeoutMs: 20_000, now: () => performance.now()});
  const databases = await life.own(
    'shards',
    () => createTestShards({shards: 2}),
    (opened) => opened.close(),
  );
  const topology = {
    ...databases.topology,
    shards: databases.topology.shards.map((shard) => {
      const port = options.shardPorts?.get(shard.id);
      return port === undefined ? shard : {...shard, rw: {host: '127.0.0.1', port}};
    }),
  };
  const slotMapFile = join(databases.secretsDir, 'slot-map.json');
  const slotMap = databases.shards.slotMap.known();
  if (options.savedSlotMap && slotMap !== undefined) await writeFile(slotMapFile, encodeSlotMap(slotMap));
  const shards = await life.own(
    'shards of the API',
    () =>
      openShards({
        topology: {current: () => topology, onChange: () => () => undefined},
        secretsDir: databases.secretsDir,
        slotMapFile,
        applicationName: 'test-device-api',
        log,
        metrics: new Registry(),
        sizes: {ingest: 8, dashboard: 1, job: 1},
      }),
    (opened) => opened.close(),
  );
  /** An enrolment token of a group of its own. */
  const makeToken = async (group: string, maxDevices?: number): Promise<string> => {
    const made = `enrol-${randomUUID()}`;
    await databases.shards.control('job').query(
      `with made as (insert into control.device_group (name) values ($2) returning group_id)
       insert into control.enrolment_token (token_hash, token_id, group_id, name, created_by, max_devices)
       select $1, gen_random_uuid(), group_id, $2, 'test', $3 from made`,
      [tokenHash(made), group, maxDevices ?? null],
    );
    return made;
  };
  const token = await makeToken('pond');
  const openConnection = (host: string, port: number) =>
    openBrokerConnection({
      address: () =>
        Promise.resolve({
          host,
          port,
          vhost: '/',
          username: decodeURIComponent(amqp.username),
          password: decodeURIComponent(amqp.password),
        }),
      name: 'test',
      log,
      random: Math.random,
    });
  const amqpPort = Number(amqp.port);
  const direct = await life.own(
    'reader',
    () => openConnection(amqp.hostname, amqpPort),
    (opened) => opened.close(),
  );
  const connection = await life.own(
    'broker',
    () =>
      options.brokerPort === undefined
        ? openConnection(amqp.hostname, amqpPort)
        : openConnection('127.0.0.1', options.brokerPort),
    (opened) => opened.close(),
  );
  const cache = await life.own(
    'cache',
    () =>
      openCache({
        endpoint:
          options.redisPort === undefined
            ? {host: redis.hostname, port: Number(redis.port)}
            : {host: '127.0.0.1', port: options.redisPort},
        password: () => Promise.resolve(undefined),
        log,
        registry: new Registry(),
        now: () => performance.now(),
      }),
    (opened) => opened.close(),
  );
  const registry = new Registry();
  const publisher = await life.own(
    'publisher',
    () =>
      createPublisher({
        connection,
        declare: (channel) => assertBrokerTopology(channel, names, PARTITIONS),
        confirmTimeoutMs: 1000,
        log,
        registry,
      }),
    (opened) => opened.close(),
  );
  const server = await startDeviceApi({
    config: {
      httpPort: 0,
      maxConnections: 1000,
      maxOpenBatches: 2000,
      maxOpenBytes: 64 * 1024 * 1024,
      maxLagMs: 60_000,
      deviceBurst: options.deviceBurst ?? 100_000,
      deviceRate: 1,
      deviceBurstBytes: options.deviceBurstBytes ?? 1024 ** 4,
      deviceBytesADay: 1024 ** 3,
    },
    topology: () => ({
      ...topology,
      capacity: {...topology.capacity, ...(options.devices && {devices: options.devices()})},
    }),
    shards,
    secretToken: createSecretToken({
      secrets: openSecrets(databases.secretsDir),
      key: 'enrolmentToken',
      monotonic: () => performance.now(),
    }),
    cache,
    publisher,
    bodyThread: new URL('../sync/body-thread.ts', import.meta.url),
    names,
    partitions: PARTITIONS,
    log,
    registry,
    tracer: options.tracer,
    life,
    lagMs: () => 0,
    wallClock: Date.now,
    timers: {...systemTimers, ...(options.now === undefined ? {} : {now: options.now})},
    random: Math.random,
    createRequestId: randomUUID,
  });
  await until('the publisher', () => publisher.trouble() === undefined);

  const call = async (
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: Buffer | string,
  ) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
      method,
      headers: {connection: 'keep-alive', ...headers},
      ...(body === undefined ? {} : {body}),
    });
    const text = await response.text();
    // Every answer of the API is a JSON object; a test that reads a member that is not there sees undefined.
    const json = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return {status: response.status, headers: response.headers, json};
  };

  return {
    call,
    cache,
    databases,
    /** Over which the API asks. */
    shards,
    /** Replaces the enrolment token of the Secret. */
    async putSecretToken(value: string): Promise<void> {
      await mkdir(join(databases.secretsDir, 'bootstrap'), {recursive: true});
      await writeFile(join(databases.secretsDir, 'bootstrap', 'enrolment-token'), value);
    },
    token,
    makeToken,
    port: server.port,
    publisher,
    /** Batches that wait in the queues, taken out of them. */
    async drain(atLeast = 1): Promise<readonly BundleItem[]> {
      const items: BundleItem[] = [];
      const queues = QUEUE_PRIORITIES.flatMap((priority) =>
        [0, 1].map((partition) => names.batches.queue(partition, priority)),
      );
      const consumer = createConsumer({
        connection: direct,
        declare: (channel) => assertBrokerTopology(channel, names, PARTITIONS),
        queues,
        prefetch: 100,
        log,
        onDelivery: (delivery) => {
          items.push(...decodeBundle(delivery.content).items);
          delivery.ack();
        },
      });
      // What must be there is waited for; 300 ms of quiet then mean that nothing more is.
      let seen = -1;
      let quietSince = Date.now();
      await until('the queues to be empty', () => {
        if (seen !== items.length || items.length < atLeast) quietSince = Date.now();
        seen = items.length;
        return Date.now() - quietSince > 300;
      });
      await consumer.close();
      return items;
    },
    async enrol(hardwareId: string = randomUUID(), enrolmentToken = token) {
      const secret = randomBytes(32).toString('base64url');
      const answer = await call(
        'POST',
        '/v1/enroll',
        {authorization: `Bearer ${enrolmentToken}`},
        JSON.stringify({hardwareId, secret}),
      );
      return {...answer, hardwareId, secret, auth: {authorization: `Bearer ${String(answer.json.credential)}`}};
    },
    async stop(): Promise<void> {
      await life.stop();
      const model = await connect(amqp.href);
      const channel = await model.createChannel();
      for (const priority of QUEUE_PRIORITIES) {
        for (let partition = 0; partition < PARTITIONS; partition++) {
          await channel.deleteQueue(names.batches.queue(partition, priority));
        }
        await channel.deleteQueue(names.requests.queue(priority));
      }
      for (const rung of RETRY_RUNGS) {
        await channel.deleteQueue(names.retry.queue(rung));
        await channel.deleteExchange(names.retry.exchange(rung));
      }
      await channel.deleteExchange(names.batches.exchange);
      await channel.deleteExchange(names.requests.exchange);
      await channel.deleteExchange(names.parked.exchange);
      await model.close();
    },
  };
};

export type TestDeviceApi = Awaited<ReturnType<typeof startTestDeviceApi>>;

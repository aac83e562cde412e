import {randomBytes} from 'node:crypto';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {v7 as uuidv7} from 'uuid';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {type BrokerConnection, openBrokerConnection} from '@pisync/core/broker/connection';
import {BUNDLE_MEDIA_TYPE, encodeBundle} from '@pisync/core/broker/bundle';
import {
  ATTEMPT_HEADER,
  type BrokerNames,
  brokerNames,
  partitionOf,
  QUEUE_PRIORITIES,
  RETRY_RUNGS,
} from '@pisync/core/broker/names';
import {createPublisher, type Publisher} from '@pisync/core/broker/publisher';
import {publishParked} from '@pisync/core/broker/retry';
import {type Cache, openCache} from '@pisync/core/cache/cache';
import {findPosition} from '@pisync/core/devices/position';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {encodeSlotMap} from '@pisync/core/shards/saved-slot-map';
import {openShards} from '@pisync/core/shards/shards';
import {createLogger} from '@pisync/core/telemetry/logger';
import {type Tracer} from '@pisync/core/telemetry/tracing';
import {serverAddress} from '@pisync/core/testing/server-address';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {type Batch} from '../apply/batch.ts';
import {startWorker} from '../worker.ts';
import {enrolDevices, itemOf, type TestDevice} from './batches.ts';

export const PARTITIONS = 2;
const log = createLogger({level: process.env.PISYNC_TEST_LOG ?? 'silent', service: 'worker', pod: 'test'});

/** A worker as a process of its own would run it: own pools, own connections. */
export interface RunningWorker {
  readonly connection: BrokerConnection;
  readonly registry: Registry;
  /** Sum of a metric's series whose labels match. */
  counter(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  close(): Promise<void>;
}

export interface RunOptions {
  readonly cache?: Cache;
  /** Loopback ports to reach shards by, where it is not the server itself: a proxy that can fail. */
  readonly ports?: ReadonlyMap<number, number>;
  /** The slot map as it is now lies in a file, for when shard 0 does not answer. */
  readonly savedSlotMap?: true;
  /** Loopback port to publish by, where it is not the broker itself. */
  readonly publishPort?: number;
  readonly tracer?: Tracer | undefined;
  /** Its clock. */
  readonly now?: () => number;
}

/** Shards, broker and cache of one test file, and what it needs to look behind them. */
export interface WorkerBench {
  readonly shards: TestShards;
  /** Of the names of everything on the broker. */
  readonly prefix: string;
  readonly names: BrokerNames;
  readonly publisher: Publisher;
  readonly cache: Cache;
  readonly start: (options?: RunOptions) => Promise<RunningWorker>;
  /** Those that run. */
  stopWorkers(): Promise<void>;
  enrolOne(): Promise<TestDevice>;
  /** Up to which number everything of the device's first epoch is applied. */
  applied(device: TestDevice): Promise<number>;
  waitApplied(device: TestDevice, through: number): Promise<number>;
  /** One message; `attempt` as if it had been tried before. */
  publish(batches: readonly Batch[], priority?: 'high' | 'normal', attempt?: number): Promise<void>;
  /** One message in the queue of a shard's parked batches, from where a worker takes it. */
  park(shardId: number, batches: readonly Batch[]): Promise<void>;
  /** To the broker, of the bench. */
  connect(): ReturnType<BrokerConnection['ready']>;
  /** Takes all that waits in a queue and dies with it, so many times. */
  die(queue: string, times: number): Promise<void>;
  /** Messages that wait in a queue. */
  depth(queue: string): Promise<number>;
  /** Who takes from a queue; 0 while there is no such queue. */
  consumers(queue: string): Promise<number>;
  close(): Promise<void>;
}

export const openWorkerBench = async (shardCount = 2): Promise<WorkerBench> => {
  const amqp = serverAddress('PISYNC_TEST_AMQP_URL');
  const redis = serverAddress('PISYNC_TEST_REDIS_URL');
  const shards = await createTestShards({shards: shardCount});
  const prefix = `test-${randomBytes(4).toString('hex')}`;
  const names = brokerNames(prefix);
  const server = {host: amqp.hostname, port: Number(amqp.port)};
  const connect = (name: string, {host, port} = server): BrokerConnection =>
    openBrokerConnection({
      address: () =>
        Promise.resolve({
          host,
          port,
          vhost: '/',
          username: decodeURIComponent(amqp.username),
          password: decodeURIComponent(amqp.password),
        }),
      name,
      log,
      random: Math.random,
    });
  const open = (registry: Registry): Promise<Cache> =>
    openCache({
      endpoint: {host: redis.hostname, port: Number(redis.port)},
      password: () => Promise.resolve(undefined),
      log,
      registry,
      now: () => performance.now(),
    });
  const openPublisher = async (by: BrokerConnection): Promise<Publisher> => {
    const opened = createPublisher({
      connection: by,
      declare: (channel) => assertBrokerTopology(channel, names, PARTITIONS),
      confirmTimeoutMs: undefined,
      log,
      registry: new Registry(),
    });
    await until('the publisher', () => opened.trouble() === undefined);
    return opened;
  };
  const connection = connect('bench');
  const publisher = await openPublisher(connection);
  const cache = await open(new Registry());

  const running = new Set<RunningWorker>();
  const start = async (options: RunOptions = {}): Promise<RunningWorker> => {
    const registry = new Registry();
    const topology = {
      ...shards.topology,
      shards: shards.topology.shards.map((shard) => {
        const port = options.ports?.get(shard.id);
        return port === undefined ? shard : {...shard, rw: {host: '127.0.0.1', port}};
      }),
    };
    const slotMapFile = join(shards.secretsDir, 'slot-map.json');
    const slotMap = shards.shards.slotMap.known();
    if (options.savedSlotMap && slotMap !== undefined) await writeFile(slotMapFile, encodeSlotMap(slotMap));
    const own = await openShards({
      topology: {current: () => topology, onChange: () => () => undefined},
      secretsDir: shards.secretsDir,
      slotMapFile,
      applicationName: 'test-worker',
      log,
      metrics: registry,
      sizes: {ingest: 4, dashboard: 1, job: 2},
    });
    const consuming = connect('worker');
    const publishing =
      options.publishPort === undefined
        ? connection
        : connect('worker', {host: '127.0.0.1', port: options.publishPort});
    const ownPublisher = publishing === connection ? publisher : await openPublisher(publishing);
    const ownCache = options.cache ?? (await open(registry));
    const worker = startWorker({
      shards: own,
      cache: ownCache,
      connection: consuming,
      publisher: ownPublisher,
      names,
      partitions: PARTITIONS,
      concurrency: 2,
      keptDays: () => 30,
      onAway: () => undefined,
      log,
      registry,
      tracer: options.tracer,
      now: options.now ?? Date.now,
      newId: () => uuidv7(),
      timers: systemTimers,
    });
    const started: RunningWorker = {
      connection: consuming,
      registry,
      async counter(name, labels = {}) {
        const metric = await registry.getSingleMetric(name)?.get();
        const matching = (metric?.values ?? []).filter((one) =>
          Object.entries(labels).every(([label, value]) => one.labels[label] === value),
        );
        return matching.reduce((sum, {value}) => sum + value, 0);
      },
      async close() {
        running.delete(started);
        await worker.close();
        await consuming.close();
        if (publishing !== connection) {
          await ownPublisher.close();
          await publishing.close();
        }
        if (options.cache === undefined) await ownCache.close();
        await own.close();
      },
    };
    running.add(started);
    return started;
  };

  const applied = async (device: TestDevice): Promise<number> =>
    (await findPosition(shards.shards, device, 1))?.appliedThrough ?? -1;

  const bench: WorkerBench = {
    shards,
    prefix,
    names,
    publisher,
    cache,
    start,
    async stopWorkers() {
      await Promise.all(Array.from(running, (worker) => worker.close()));
    },
    async enrolOne() {
      const [device] = await enrolDevices(shards.shards, 1);
      if (device === undefined) throw new Error('no device was enrolled');
      return device;
    },
    applied,
    waitApplied: (device, through) =>
      until(
        `batch ${through} of ${device.deviceId}`,
        () => applied(device),
        (seen) => seen === through,
      ),
    async publish(batches, priority = 'normal', attempt = 0) {
      const partition = partitionOf(batches[0]?.slot ?? 0, PARTITIONS);
      await publisher.publish({
        exchange: names.batches.exchange,
        routingKey: names.batches.routingKey(partition, priority),
        content: encodeBundle(batches.map(itemOf)),
        contentType: BUNDLE_MEDIA_TYPE,
        ...(attempt === 0 ? {} : {headers: {[ATTEMPT_HEADER]: attempt}}),
      });
    },
    park: (shardId, batches) =>
      publishParked(
        publisher,
        names,
        {
          routingKey: names.batches.routingKey(partitionOf(batches[0]?.slot ?? 0, PARTITIONS), 'normal'),
          content: encodeBundle(batches.map(itemOf)),
          attempt: 0,
        },
        shardId,
      ),
    connect: () => connection.ready(),
    async die(queue, times) {
      for (let time = 0; time < times; time++) {
        const waiting = await bench.depth(queue);
        let taken = 0;
        const channel = await (await connection.ready()).createChannel();
        await channel.consume(queue, () => void (taken += 1));
        await until('all that waits', () => taken === waiting);
        await channel.close();
        await until(
          'them to be back',
          () => bench.depth(queue),
          (seen) => seen === waiting,
        );
      }
    },
    async depth(queue) {
      const channel = await (await connection.ready()).createChannel();
      const {messageCount} = await channel.checkQueue(queue);
      await channel.close();
      return messageCount;
    },
    async consumers(queue) {
      const channel = await (await connection.ready()).createChannel();
      // A queue that is not there costs the channel.
      channel.on('error', () => undefined);
      const found = await channel.checkQueue(queue).catch(() => undefined);
      if (found !== undefined) await channel.close();
      return found?.consumerCount ?? 0;
    },
    async close() {
      const channel = await (await connection.ready()).createChannel();
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
      for (const {queue, exchange} of [names.requests.later, names.suspects]) {
        await channel.deleteQueue(queue);
        await channel.deleteExchange(exchange);
      }
      await channel.deleteQueue(names.unreadable.queue);
      for (const shardId of shards.shards.ids()) await channel.deleteQueue(names.parked.queue(shardId));
      await channel.deleteExchange(names.batches.exchange);
      await channel.deleteExchange(names.requests.exchange);
      await channel.deleteExchange(names.parked.exchange);
      await channel.close();
      await publisher.close();
      await connection.close();
      await cache.close();
      await shards.close();
    },
  };
  return bench;
};

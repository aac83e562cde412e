import {randomBytes} from 'node:crypto';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {type Channel, connect} from 'amqplib';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type BundleItem, decodeBundle} from './bundle.ts';
import {systemTimers} from '../lifecycle/timers.ts';
import {createBundler, DEFAULT_BUNDLER_LIMITS} from './bundler.ts';
import {assertBrokerTopology, assertParkedQueue} from './broker-topology.ts';
import {openBrokerConnection} from './connection.ts';
import {createConsumer, type Delivery} from './consumer.ts';
import {brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from './names.ts';
import {createPublisher} from './publisher.ts';
import {publishParked, publishRetry} from './retry.ts';
import {openMuteProxy} from '../testing/mute-proxy.ts';
import {until} from '../testing/until.ts';

const text = process.env.PISYNC_TEST_AMQP_URL;
if (text === undefined) throw new Error('PISYNC_TEST_AMQP_URL is not set: the address of a RabbitMQ for tests');
const url = new URL(text);
const names = brokerNames(`test-${randomBytes(4).toString('hex')}`);
const PARTITIONS = 2;
const log = pino({level: 'silent'});
const declare = (channel: Channel): Promise<void> => assertBrokerTopology(channel, names, PARTITIONS);

setFlagsFromString('--expose-gc');
// What the flag adds to every context made after it.
const collectGarbage = runInNewContext('gc') as () => void;

const openAll = async (port: number, host = url.hostname) => {
  const connection = openBrokerConnection({
    address: () =>
      Promise.resolve({
        host,
        port,
        vhost: '/',
        username: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      }),
    name: 'test',
    log,
    random: Math.random,
  });
  const publisher = createPublisher({
    connection,
    declare,
    confirmTimeoutMs: 1000,
    log,
    registry: new Registry(),
  });
  await until('the publisher to open', () => publisher.trouble() === undefined);
  const bundler = createBundler({
    publisher,
    names,
    partitions: PARTITIONS,
    limits: DEFAULT_BUNDLER_LIMITS,
    soon: systemTimers.soon,
    registry: new Registry(),
  });
  const close = async (): Promise<void> => {
    await publisher.close();
    await connection.close();
  };
  return {connection, publisher, bundler, close};
};

const item = (batchSeq: number, slot = 0): BundleItem => ({
  meta: {
    deviceId: 'd',
    deviceKey: 1,
    slot,
    epoch: 1,
    batchSeq,
    contentHash: '0'.repeat(64),
    receivedAt: 1,
    receivedDay: '2026-01-01',
    mode: 'delta',
    reason: null,
    bad: [],
  },
  payload: Buffer.from(`{"n":${batchSeq}}`),
});

let open: Awaited<ReturnType<typeof openAll>>;
beforeAll(async () => {
  open = await openAll(Number(url.port));
});
const PARKED_SHARDS = [3, 5, 6, 7];

afterAll(async () => {
  await open.close();
  const model = await connect(url.href);
  const channel = await model.createChannel();
  for (const priority of QUEUE_PRIORITIES) {
    for (let partition = 0; partition < PARTITIONS; partition++)
      await channel.deleteQueue(names.batches.queue(partition, priority));
    await channel.deleteQueue(names.requests.queue(priority));
  }
  for (const rung of RETRY_RUNGS) {
    await channel.deleteQueue(names.retry.queue(rung));
    await channel.deleteExchange(names.retry.exchange(rung));
  }
  await channel.deleteExchange(names.batches.exchange);
  await channel.deleteExchange(names.requests.exchange);
  for (const shardId of PARKED_SHARDS) await channel.deleteQueue(names.parked.queue(shardId));
  await channel.deleteExchange(names.parked.exchange);
  await model.close();
});

describe('batches', () => {
  test('that arrive together travel in few messages and come out whole, once each', async () => {
    const seen: number[] = [];
    let messages = 0;
    const consumer = createConsumer({
      connection: open.connection,
      declare,
      queues: [0, 1].map((partition) => names.batches.queue(partition, 'normal')),
      prefetch: 10,
      log,
      onDelivery: (delivery) => {
        messages += 1;
        seen.push(...decodeBundle(delivery.content).items.map(({meta}) => meta.batchSeq));
        delivery.ack();
      },
    });
    const numbers = Array.from({length: 300}, (_, index) => index + 1);
    await Promise.all(numbers.map((number) => open.bundler.add(item(number, number % 1024), 'normal')));
    await until('300 batches', () => seen.length >= 300);
    await consumer.close();
    expect(seen.toSorted((a, b) => a - b)).toEqual(numbers);
    expect(messages).toBeLessThan(20);
  });

  test('come back from a rung of the retry ladder to their own queue with one attempt more', async () => {
    const deliveries: Delivery[] = [];
    const consumer = createConsumer({
      connection: open.connection,
      declare,
      queues: [names.batches.queue(1, 'high')],
      prefetch: 10,
      log,
      onDelivery: (delivery) => {
        deliveries.push(delivery);
        delivery.ack();
      },
    });
    await open.bundler.add(item(7, 1), 'high');
    await until('the first delivery', () => deliveries.length === 1);
    const [first] = deliveries;
    if (first === undefined) throw new Error('no delivery');
    expect(await publishRetry(open.publisher, names, first)).toBe('scheduled');
    await until('the second delivery', () => deliveries.length === 2);
    await consumer.close();
    expect(deliveries.map(({attempt, routingKey}) => ({attempt, routingKey}))).toEqual([
      {attempt: 0, routingKey: 'p01.high'},
      {attempt: 1, routingKey: 'p01.high'},
    ]);
    expect(deliveries[1]?.content).toEqual(first.content);
    expect(await publishRetry(open.publisher, names, {...first, attempt: 4})).toBe('exhausted');
  }, 20_000);
});

test('parked batches come out of the queue of their shard with their way back and their attempts', async () => {
  const message = {routingKey: 'p01.high', content: Buffer.from('a bundle'), attempt: 2};
  // A shard that no worker knows has no queue: the batches stay where they are.
  await expect(publishParked(open.publisher, names, message, 4)).rejects.toMatchObject({code: 'broker-unavailable'});
  const seen: Delivery[] = [];
  const consumer = createConsumer({
    connection: open.connection,
    queues: [names.parked.queue(3)],
    declare: (channel) => assertParkedQueue(channel, names, 3),
    prefetch: 10,
    log,
    onDelivery: (delivery) => {
      seen.push(delivery);
      delivery.ack();
    },
  });
  let isParked = false;
  await until('the queue to be declared', () => {
    publishParked(open.publisher, names, message, 3).then(
      () => (isParked = true),
      () => undefined,
    );
    return isParked;
  });
  await until('the batches', () => seen.length > 0);
  await consumer.close();
  expect(seen[0]).toMatchObject(message);
  expect(seen[0]?.isLost()).toBe(true);
});

test('a parked message goes to the queue of its shard alone', async () => {
  const shardIds = PARKED_SHARDS.slice(1);
  const model = await connect(url.href);
  try {
    const channel = await model.createConfirmChannel();
    for (const shardId of shardIds) await assertParkedQueue(channel, names, shardId);
    for (const shardId of shardIds) {
      const message = {routingKey: 'p01.high', content: Buffer.from(String(shardId)), attempt: 2};
      await publishParked(open.publisher, names, message, shardId);
    }
    const found = new Map<number, string[]>();
    for (const shardId of shardIds) {
      const contents: string[] = [];
      for (;;) {
        const got = await channel.get(names.parked.queue(shardId), {noAck: true});
        if (got === false) break;
        contents.push(got.content.toString());
      }
      found.set(shardId, contents);
    }
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(shardIds.map((shardId) => [shardId, [String(shardId)]])),
    );
  } finally {
    await model.close().catch(() => undefined);
  }
});

describe('a publisher', () => {
  test('fails when no queue takes the message', async () => {
    const lost = {
      exchange: names.batches.exchange,
      routingKey: 'p99.normal',
      content: Buffer.from('x'),
      contentType: 'text/plain',
    };
    await expect(open.publisher.publish(lost)).rejects.toMatchObject({code: 'broker-unavailable'});
  });

  test('declares an exchange again that is gone', async () => {
    const message = {
      exchange: names.batches.exchange,
      routingKey: names.batches.routingKey(0, 'high'),
      content: Buffer.from('x'),
      contentType: 'text/plain',
    };
    await open.publisher.publish(message);
    const model = await connect(url.href);
    try {
      const channel = await model.createChannel();
      await channel.deleteExchange(names.batches.exchange);
      await until('a confirm', () =>
        open.publisher.publish(message).then(
          () => true,
          () => false,
        ),
      );
      await channel.purgeQueue(names.batches.queue(0, 'high'));
    } finally {
      await model.close();
    }
  });

  const gone: readonly (readonly [string, string, string, string])[] = [
    ['a rung', names.retry.queue(RETRY_RUNGS[3]), names.retry.exchange(RETRY_RUNGS[3]), 'p00.normal'],
    ['batches that nobody consumes', names.batches.queue(1, 'normal'), names.batches.exchange, 'p01.normal'],
    ['what is unreadable', names.unreadable.queue, '', names.unreadable.queue],
  ];
  test.each(gone)('declares the queue of %s again that is gone', async (_what, queue, exchange, routingKey) => {
    // What another one declared a moment ago counts for some seconds.
    const own = await openAll(Number(url.port));
    const model = await connect(url.href);
    try {
      const message = {exchange, routingKey, way: '', content: Buffer.from('x'), contentType: 'text/plain'};
      const messages = new Array<typeof message>(5).fill(message);
      await Promise.all(messages.map((message) => own.publisher.publish(message)));
      const channel = await model.createChannel();
      await channel.deleteQueue(queue);
      await Promise.all(messages.map((message) => own.publisher.publish(message)));
      expect(await channel.purgeQueue(queue)).toEqual({messageCount: messages.length});
    } finally {
      await model.close();
      await own.close();
    }
  });

  test('gives up on a confirm that does not come, refuses while cut off, and works again by itself', async () => {
    const proxy = await openMuteProxy(url);
    const through = await openAll(proxy.port, '127.0.0.1');
    try {
      proxy.state.mute = true;
      await expect(through.bundler.add(item(1), 'normal')).rejects.toMatchObject({code: 'broker-timeout'});
      const cut = through.bundler.add(item(2), 'normal');
      const outcome = expect(cut).rejects.toMatchObject({code: 'broker-timeout'});
      await until('the message to be sent', () => through.publisher.inFlight() === 1);
      proxy.cut();
      await outcome;
      await expect(through.bundler.add(item(3), 'normal')).rejects.toMatchObject({code: 'broker-unavailable'});
      proxy.state.mute = false;
      await until('the publisher to come back', () => through.publisher.trouble() === undefined);
      await through.bundler.add(item(4), 'normal');
    } finally {
      await through.close();
      proxy.close();
    }
  }, 30_000);

  test('holds no message whose confirm does not come', async () => {
    const proxy = await openMuteProxy(url);
    const through = await openAll(proxy.port, '127.0.0.1');
    const sendAndForget = async (): Promise<WeakRef<Buffer>> => {
      const content = Buffer.alloc(1024);
      const sent = through.publisher.publish({
        exchange: names.batches.exchange,
        routingKey: names.batches.routingKey(0, 'normal'),
        content,
        contentType: 'text/plain',
      });
      await expect(sent).rejects.toMatchObject({code: 'broker-timeout'});
      return new WeakRef(content);
    };
    try {
      proxy.state.mute = true;
      const sent = await Promise.all(Array.from({length: 10}, sendAndForget));
      await until(
        'the messages to be collected',
        () => {
          collectGarbage();
          return sent.filter((content) => content.deref() !== undefined).length;
        },
        (held) => held === 0,
        5_000,
      );
    } finally {
      proxy.state.mute = false;
      await through.close();
      proxy.close();
    }
  }, 30_000);
});

describe('a consumer', () => {
  test('consumes again after its queue was deleted and declared anew', async () => {
    const seen: number[] = [];
    const consumer = createConsumer({
      connection: open.connection,
      declare,
      queues: [names.batches.queue(0, 'high')],
      prefetch: 10,
      log,
      onDelivery: (delivery) => {
        seen.push(...decodeBundle(delivery.content).items.map(({meta}) => meta.batchSeq));
        delivery.ack();
      },
    });
    await open.bundler.add(item(1), 'high');
    await until('the first batch', () => seen.length === 1);
    const model = await connect(url.href);
    const channel = await model.createChannel();
    await channel.deleteQueue(names.batches.queue(0, 'high'));
    await model.close();
    await until('the queue to be back', () => {
      open.bundler.add(item(2), 'high').catch(() => undefined);
      return seen.includes(2);
    });
    await consumer.pause();
    await consumer.close();
  }, 30_000);

  test('can be stopped while its connection breaks and while the broker hangs', async () => {
    const proxy = await openMuteProxy(url);
    const through = await openAll(proxy.port, '127.0.0.1');
    const consume = async () => {
      const seen: number[] = [];
      const consumer = createConsumer({
        connection: through.connection,
        declare,
        queues: [names.batches.queue(1, 'high')],
        prefetch: 10,
        log,
        onDelivery: (delivery) => {
          seen.push(...decodeBundle(delivery.content).items.map(({meta}) => meta.batchSeq));
          delivery.ack();
        },
      });
      await open.bundler.add(item(1, 1), 'high');
      await until('a delivery', () => seen.length > 0);
      return consumer;
    };
    try {
      const broken = await consume();
      proxy.cut();
      await broken.pause();
      await broken.close();
      const hanging = await consume();
      proxy.state.mute = true;
      await hanging.pause();
      await hanging.close();
    } finally {
      proxy.state.mute = false;
      await through.close();
      proxy.close();
    }
  }, 30_000);
});

import {randomBytes} from 'node:crypto';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {type Channel, type ChannelModel, connect} from 'amqplib';
import {pino} from 'pino';
import {openMuteProxy, type MuteProxy} from '../testing/mute-proxy.ts';
import {serverAddress} from '../testing/server-address.ts';
import {until} from '../testing/until.ts';
import {type BrokerConnection, openBrokerConnection} from './connection.ts';
import {type Consumer, createConsumer, type Delivery} from './consumer.ts';

const url = serverAddress('PISYNC_TEST_AMQP_URL');
const log = pino({level: 'silent'});
const QUORUM = {durable: true, arguments: {'x-queue-type': 'quorum'}};

let proxy: MuteProxy;
let connection: BrokerConnection;
let consumer: Consumer | undefined;
let model: ChannelModel;
let channel: Channel;
let prefix: string;
let seen: Delivery[];

beforeEach(async () => {
  prefix = `test-${randomBytes(4).toString('hex')}`;
  seen = [];
  model = await connect(url.href);
  channel = await model.createChannel();
  proxy = await openMuteProxy(url);
  connection = openBrokerConnection({
    address: () =>
      Promise.resolve({
        host: '127.0.0.1',
        port: proxy.port,
        vhost: '/',
        username: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      }),
    name: 'test',
    log,
    random: Math.random,
  });
});
afterEach(async () => {
  await consumer?.close();
  await connection.close();
  proxy.close();
  for (const queue of ['first', 'bad', 'last']) await channel.deleteQueue(`${prefix}-${queue}`);
  await model.close();
});

const consume = (names: readonly string[]): void => {
  const queues = names.map((name) => `${prefix}-${name}`);
  consumer = createConsumer({
    connection,
    queues,
    declare: async (on) => {
      for (const queue of queues) if (!queue.endsWith('bad')) await on.assertQueue(queue, QUORUM);
    },
    prefetch: 10,
    log,
    leftOutMs: 100,
    onDelivery: (delivery) => seen.push(delivery),
  });
};

const send = (name: string): boolean => channel.sendToQueue(`${prefix}-${name}`, Buffer.from(name));
const waitFor = (count: number) => until(`${count} deliveries`, () => seen.length === count);
const textsOf = (deliveries: readonly Delivery[]): readonly string[] => deliveries.map(({content}) => String(content));

test('a queue that cannot be consumed is left out until it can be, and the others lose nothing', async () => {
  const other = await connect(url.href);
  const locking = await other.createChannel();
  await locking.assertQueue(`${prefix}-bad`, {exclusive: true});
  consume(['first', 'bad', 'last']);
  await until('the queues', async () => {
    const counts = await Promise.all(
      ['first', 'last'].map(async (name) => (await channel.assertQueue(`${prefix}-${name}`, QUORUM)).consumerCount),
    );
    return counts.every((count) => count === 1);
  });
  send('first');
  send('last');
  await waitFor(2);
  await other.close();
  await channel.assertQueue(`${prefix}-bad`, QUORUM);
  send('bad');
  await waitFor(3);
  send('bad');
  await waitFor(4);
  expect(textsOf(seen).toSorted()).toEqual(['bad', 'bad', 'first', 'last']);
  expect(seen.map((delivery) => delivery.isLost())).toEqual([false, false, false, false]);
  // Also what came while it was tried is acked like anything else.
  for (const delivery of seen) delivery.ack();
  await consumer?.close();
  const left = await until(
    'the acks',
    async () => (await channel.checkQueue(`${prefix}-bad`)).messageCount,
    (count) => count === 0,
  );
  expect(left).toBe(0);
});

test('a message is not suspect because connections were lost, only because processes died with it', async () => {
  await channel.assertQueue(`${prefix}-first`, QUORUM);
  send('first');
  for (let deaths = 0; deaths < 2; deaths++) {
    const dying = await connect(url.href);
    await until('it to be taken', async () => {
      const got = await (await dying.createChannel()).get(`${prefix}-first`);
      return got !== false;
    });
    await dying.close();
  }
  consume(['first']);
  await waitFor(1);
  for (let cuts = 1; cuts <= 3; cuts++) {
    proxy.cut();
    await waitFor(1 + cuts);
  }
  expect(seen.map(({returned}) => returned)).toEqual([2, 2, 2, 2]);
});

test('what was in hand when the broker cancelled the consumer is lost, and its queue is consumed again', async () => {
  consume(['first']);
  const consumerCount = async () => (await channel.assertQueue(`${prefix}-first`, QUORUM)).consumerCount;
  await until('the consumer', async () => (await consumerCount()) === 1);
  send('first');
  await waitFor(1);
  expect(seen[0]?.isLost()).toBe(false);
  await channel.deleteQueue(`${prefix}-first`);
  await until('the loss to be known', () => seen[0]?.isLost());
  seen[0]?.ack();
  await until('the consumer again', async () => (await consumerCount()) === 1);
  send('first');
  await waitFor(2);
  expect(seen[1]?.isLost()).toBe(false);
  seen[1]?.ack();
  await consumer?.close();
  expect((await channel.checkQueue(`${prefix}-first`)).messageCount).toBe(0);
});

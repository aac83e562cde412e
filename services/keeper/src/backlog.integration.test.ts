import {randomBytes} from 'node:crypto';
import {isDeepStrictEqual} from 'node:util';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {assertBrokerTopology, assertParkedQueue} from '@pisync/core/broker/broker-topology';
import {type BrokerConnection, openBrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {createLogger} from '@pisync/core/telemetry/logger';
import {serverAddress} from '@pisync/core/testing/server-address';
import {until} from '@pisync/core/testing/until';
import {countBacklog} from './backlog.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const PARTITIONS = 2;
const SHARDS = [0, 1];
const names = brokerNames(`test-${randomBytes(4).toString('hex')}`);
let connection: BrokerConnection;
beforeAll(() => {
  const amqp = serverAddress('PISYNC_TEST_AMQP_URL');
  connection = openBrokerConnection({
    address: () =>
      Promise.resolve({
        ...{host: amqp.hostname, port: Number(amqp.port), vhost: '/'},
        username: decodeURIComponent(amqp.username),
        password: decodeURIComponent(amqp.password),
      }),
    name: 'backlog',
    log: createLogger({level: 'silent', service: 'keeper', pod: 'test'}),
    random: Math.random,
  });
});
afterAll(async () => {
  const channel = await (await connection.ready()).createChannel();
  const {batches, requests, retry, suspects, unreadable, parked} = names;
  for (const shardId of SHARDS) await channel.deleteQueue(parked.queue(shardId));
  for (const priority of QUEUE_PRIORITIES) {
    for (const partition of [0, 1]) await channel.deleteQueue(batches.queue(partition, priority));
    await channel.deleteQueue(requests.queue(priority));
  }
  for (const rung of RETRY_RUNGS) {
    await channel.deleteQueue(retry.queue(rung));
    await channel.deleteExchange(retry.exchange(rung));
  }
  for (const {queue, exchange} of [requests.later, suspects]) {
    await channel.deleteQueue(queue);
    await channel.deleteExchange(exchange);
  }
  await channel.deleteQueue(unreadable.queue);
  for (const {exchange} of [batches, requests, parked]) await channel.deleteExchange(exchange);
  await connection.close();
});

const count = async () =>
  Object.fromEntries(await countBacklog({connection, names, partitions: PARTITIONS, shardIds: SHARDS}));
const NOTHING = {batches: 0, retry: 0, parked: 0, requests: 0, suspects: 0, unreadable: 0};

test('what waits on the broker is counted without any worker, and without queues nothing waits', async () => {
  expect(await count()).toEqual(NOTHING);
  const channel = await (await connection.ready()).createChannel();
  await assertBrokerTopology(channel, names, PARTITIONS);
  for (const shardId of SHARDS) await assertParkedQueue(channel, names, shardId);
  const queues = [
    ...QUEUE_PRIORITIES.flatMap((priority) => [0, 1].map((partition) => names.batches.queue(partition, priority))),
    // Those from which nothing goes on while this runs.
    ...RETRY_RUNGS.slice(2).map((rung) => names.retry.queue(rung)),
    ...SHARDS.map((shardId) => names.parked.queue(shardId)),
    ...QUEUE_PRIORITIES.map((priority) => names.requests.queue(priority)),
    ...[names.suspects.queue, names.unreadable.queue],
  ];
  for (const queue of queues) channel.sendToQueue(queue, Buffer.from('x'));
  // It waits here for some seconds, and then where the others do.
  channel.publish(names.requests.later.exchange, 'high', Buffer.from('x'));
  await channel.close();
  const all = {batches: 4, retry: 2, parked: 2, requests: 3, suspects: 1, unreadable: 1};
  await until('all to be counted', count, (counts) => isDeepStrictEqual(counts, all));
});

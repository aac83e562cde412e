import {randomBytes} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {type BrokerConnection, openBrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames, RETRY_RUNGS} from '@pisync/core/broker/names';
import {createLogger} from '@pisync/core/telemetry/logger';
import {serverAddress} from '@pisync/core/testing/server-address';
import {until} from '@pisync/core/testing/until';
import {countBacklog} from './backlog.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const PARTITIONS = 2;
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
  for (const priority of ['high', 'normal'] as const) {
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
  Object.fromEntries(await countBacklog({connection, names, partitions: PARTITIONS, shardIds: [0, 1]}));
const NOTHING = {batches: 0, retry: 0, parked: 0, requests: 0, suspects: 0, unreadable: 0};

test('what waits on the broker is counted without any worker, and without queues nothing waits', async () => {
  expect(await count()).toEqual(NOTHING);
  const channel = await (await connection.ready()).createChannel();
  await assertBrokerTopology(channel, names, PARTITIONS);
  for (const queue of [
    names.batches.queue(0, 'high'),
    names.batches.queue(1, 'normal'),
    names.retry.queue(RETRY_RUNGS[3]),
    names.requests.queue('normal'),
    names.suspects.queue,
  ])
    channel.sendToQueue(queue, Buffer.from('x'));
  await channel.close();
  await until('all to be counted', count, ({batches, suspects}) => batches === 2 && suspects === 1);
  expect(await count()).toEqual({...NOTHING, batches: 2, retry: 1, requests: 1, suspects: 1});
});

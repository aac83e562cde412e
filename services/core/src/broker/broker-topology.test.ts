import {expect, test} from '@jest/globals';
import type {Channel} from 'amqplib';
import {assertParkedQueue} from './broker-topology.ts';
import {brokerNames} from './names.ts';

test('what is parked lies still for as long as devices trust that it is applied', async () => {
  const declared: unknown[] = [];
  const channel: Pick<Channel, 'assertExchange' | 'assertQueue' | 'bindQueue'> = {
    assertExchange: (exchange) => Promise.resolve({exchange}),
    bindQueue: () => Promise.resolve({}),
    assertQueue(queue = '', options = {}) {
      declared.push(options.arguments);
      return Promise.resolve({queue, messageCount: 0, consumerCount: 0});
    },
  };
  await assertParkedQueue(channel, brokerNames(), 1);
  expect(declared).toMatchObject([{'x-message-ttl': 24 * 3_600_000}]);
});

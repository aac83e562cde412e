import {expect, test} from '@jest/globals';
import {type Delivery} from '@pisync/core/broker/consumer';
import {createLogger} from '@pisync/core/telemetry/logger';
import {Registry} from 'prom-client';
import {createWorkerMetrics} from '../metrics.ts';
import {createKeepMessage} from './unreadable.ts';

/** Keeps a message while its queue takes nothing, which is so until after the tries given; then the broker takes the message back, or not. */
const keep = async ({awayFor, lostAfter}: {readonly awayFor: number; readonly lostAfter: number}) => {
  let tries = 0;
  let outcome = 'open';
  const delivery: Delivery = {
    queue: 'test',
    routingKey: 'p00.normal',
    content: Buffer.from('not a bundle'),
    attempt: 0,
    returned: 0,
    isLost: () => tries >= lostAfter,
    ack: () => (outcome = 'acked'),
    requeue: () => (outcome = 'requeued'),
  };
  const keepMessage = createKeepMessage({
    keepUnreadable: () => {
      tries += 1;
      return tries > awayFor ? Promise.resolve() : Promise.reject(new Error('the queue is full'));
    },
    metrics: createWorkerMetrics(new Registry(), () => 0, {oldestAtMs: () => undefined, shards: () => []}),
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    timers: {sleep: () => Promise.resolve()},
    stopping: new AbortController().signal,
  });
  await keepMessage(delivery, new Error('a bundle of 12 bytes ends within its header'));
  return {tries, outcome};
};

test('a message that cannot be read is acked once it is set aside', async () => {
  expect(await keep({awayFor: 2, lostAfter: Infinity})).toEqual({tries: 3, outcome: 'acked'});
});

test('a message that the broker has taken back is not tried any more: it is delivered again', async () => {
  expect(await keep({awayFor: Infinity, lostAfter: 2})).toEqual({tries: 2, outcome: 'requeued'});
});

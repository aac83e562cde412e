import {Writable} from 'node:stream';
import {expect, test} from '@jest/globals';
import {brokerNames} from '@pisync/core/broker/names';
import {type Delivery} from '@pisync/core/broker/consumer';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createLogger} from '@pisync/core/telemetry/logger';
import {Registry} from 'prom-client';
import {createWorkerMetrics} from '../metrics.ts';
import {createHeld} from './held.ts';
import {createKeepMessage, createKeepUnreadable, untilConfirmed} from './unreadable.ts';

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
    held: createHeld(systemTimers.after),
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

test('of a message in parts those that the broker has confirmed are not published again', async () => {
  const published: string[] = [];
  const part = (name: string, refusals: number) => () => {
    published.push(name);
    const isRefused = published.filter((one) => one === name).length <= refusals;
    return isRefused ? Promise.reject(new Error('the broker blocks publishers')) : Promise.resolve();
  };
  const {promise: acked, resolve: ack} = Promise.withResolvers<undefined>();
  await untilConfirmed(
    {
      held: createHeld(systemTimers.after),
      log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
      timers: {sleep: () => Promise.resolve()},
      stopping: new AbortController().signal,
    },
    {isLost: () => false, ack: () => ack(undefined), requeue: () => undefined},
    [part('a', 0), part('b', 2)],
  );
  await acked;
  expect(published).toEqual(['a', 'b', 'b', 'b']);
});

test('what is set aside is counted and logged, once the broker has it', async () => {
  const lines: string[] = [];
  const out = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const metrics = createWorkerMetrics(new Registry(), () => 0, {
    oldestAtMs: () => undefined,
    shards: () => [],
    leftOut: () => 0,
  });
  let confirms = false;
  const keepUnreadable = createKeepUnreadable({
    publisher: {publish: () => (confirms ? Promise.resolve() : Promise.reject(new Error('no confirm')))},
    names: brokerNames('test'),
    metrics,
    log: createLogger({level: 'info', service: 'worker', pod: 'test', destination: out}),
  });
  const ask = () => keepUnreadable('refused 5 times', {deviceId: 'd', batchSeq: 500_000_000}, Buffer.from('bytes'));
  const counted = async () => (await metrics.quarantined.get()).values.map(({labels, value}) => [labels.kind, value]);
  await expect(ask()).rejects.toThrow('no confirm');
  expect([await counted(), lines]).toEqual([[], []]);
  confirms = true;
  await ask();
  expect(await counted()).toEqual([['message', 1]]);
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    {level: 'error', deviceId: 'd', batchSeq: 500_000_000, bytes: 5, reason: 'refused 5 times'},
  ]);
});

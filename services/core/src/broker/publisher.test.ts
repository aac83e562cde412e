import {EventEmitter} from 'node:events';
import {expect, test} from '@jest/globals';
import type {ChannelModel} from 'amqplib';
import {Registry} from 'prom-client';
import {createLogger} from '../telemetry/logger.ts';
import {until} from '../testing/until.ts';
import type {BrokerConnection} from './connection.ts';
import {createPublishLane} from './publish-lane.ts';
import type {Outgoing} from './outgoing.ts';
import {createPublisher} from './publisher.ts';

const log = createLogger({level: 'silent', service: 'test', pod: 'test'});

/** As much of a broker as is used. The queue `bad` has no majority, and what is sent over a channel after something for it waits as well, as RabbitMQ does it. */
const createBroker = () => {
  const state = {channels: 0, stuck: [] as (() => void)[], isBad: false};
  const open = (): Promise<unknown> => {
    state.channels += 1;
    let isStuck = false;
    const publish = (_: string, routingKey: string, __: Buffer, ___: object, confirm: (error: null) => void): void => {
      isStuck ||= state.isBad && routingKey === 'bad';
      if (isStuck) state.stuck.push(() => confirm(null));
      else setImmediate(() => confirm(null));
    };
    const channel = new EventEmitter();
    return Promise.resolve(Object.assign(channel, {publish, close: () => Promise.resolve(channel.emit('close'))}));
  };
  const connection = {
    ready: () => Promise.resolve({createConfirmChannel: open} as unknown as ChannelModel),
    trouble: () => undefined,
    closing: new AbortController().signal,
  } as unknown as BrokerConnection;
  return {state, connection};
};

const to = (routingKey: string): Outgoing => ({
  exchange: 'e',
  routingKey,
  content: Buffer.alloc(1),
  contentType: 'text/plain',
});

test('a queue that does not confirm holds up no other', async () => {
  const {state, connection} = createBroker();
  const publisher = createPublisher({
    connection,
    declare: () => Promise.resolve(),
    confirmTimeoutMs: undefined,
    log,
    registry: new Registry(),
  });
  await until('a channel', () => publisher.trouble() === undefined);
  await publisher.publish(to('bad'));
  state.isBad = true;
  const waiting = Array.from({length: 150}, () => publisher.publish(to('bad')));
  await until('them to be sent', () => state.stuck.length > 0);
  const others = ['good', 'other', 'good'].map((routingKey) => publisher.publish(to(routingKey)));
  let confirmed = 0;
  for (const other of others) void other.then(() => (confirmed += 1));
  await until(
    'the confirms of others',
    () => confirmed,
    (count) => count === others.length,
    5_000,
  );
  // The rest stays here: a broker stops to read from a connection that has sent too much for one channel.
  expect(state.stuck).toHaveLength(100);
  expect(publisher.inFlight()).toBe(150);
  state.isBad = false;
  for (const confirm of state.stuck.splice(0)) confirm();
  await until('the rest', () => state.stuck.length === 50);
  for (const confirm of state.stuck.splice(0)) confirm();
  await Promise.all(waiting);
  await publisher.close();
});

test('a confirm that never comes ends with its channel, and the next has a new one', async () => {
  const {state, connection} = createBroker();
  state.isBad = true;
  const lane = createPublishLane({
    connection,
    name: 'test',
    declare: () => Promise.resolve(),
    declareAgain: () => Promise.resolve(),
    confirmTimeoutMs: undefined,
    silentMs: 20,
    log,
  });
  await expect(lane.publish(to('bad'))).rejects.toMatchObject({code: 'broker-timeout'});
  state.isBad = false;
  await lane.publish(to('bad'));
  expect(state.channels).toBe(2);
  await lane.close();
});

test('a queue that does not confirm gets one message over each new channel until it does', async () => {
  const {state, connection} = createBroker();
  state.isBad = true;
  const declare = () => Promise.resolve();
  const lane = createPublishLane({
    ...{connection, name: 'test', declare, declareAgain: declare},
    ...{confirmTimeoutMs: undefined, silentMs: 20, log},
  });
  for (let reopenings = 1; reopenings <= 2; reopenings++) {
    const sent = await Promise.allSettled(Array.from({length: 150}, () => lane.publish(to('bad'))));
    expect(sent.filter(({status}) => status === 'rejected')).toHaveLength(150);
    expect(state.stuck).toHaveLength(reopenings);
  }
  state.isBad = false;
  await Promise.all(Array.from({length: 150}, () => lane.publish(to('bad'))));
  await lane.close();
});

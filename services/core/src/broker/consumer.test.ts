import {EventEmitter} from 'node:events';
import {expect, test} from '@jest/globals';
import type {ChannelModel} from 'amqplib';
import {createLogger} from '../telemetry/logger.ts';
import {until} from '../testing/until.ts';
import type {BrokerConnection} from './connection.ts';
import {createConsumer} from './consumer.ts';

const never = <T>(): Promise<T> => new Promise(() => undefined);

/** As much of a broker as is used. What asks for the queue `bad` hangs, or ends the connection that it asks over. */
const createBroker = (how: 'never answers' | 'ends the connection') => {
  const state = {isBad: true, channels: 0, tries: 0, consumed: [] as string[]};
  const createModel = (isMain: boolean): ChannelModel => {
    const model = new EventEmitter();
    const channels: EventEmitter[] = [];
    const open = (): Promise<unknown> => {
      if (isMain) state.channels += 1;
      const channel = new EventEmitter();
      channels.push(channel);
      return Promise.resolve(
        Object.assign(channel, {
          connection: model,
          prefetch: () => Promise.resolve(),
          cancel: () => Promise.resolve(),
          close: () => Promise.resolve(),
          consume: (queue: string) => {
            if (queue === 'bad' && !isMain) state.tries += 1;
            if (queue === 'bad' && state.isBad) {
              if (how === 'never answers') return never();
              for (const each of channels.splice(0)) each.emit('close');
              model.emit('close');
              return Promise.reject(new Error('Channel ended, no reply will be forthcoming'));
            }
            if (isMain) state.consumed.push(queue);
            return Promise.resolve({consumerTag: queue});
          },
        }),
      );
    };
    const close = () => Promise.resolve();
    return Object.assign(model, {createConfirmChannel: open, createChannel: open, close}) as unknown as ChannelModel;
  };
  const main = createModel(true);
  const connection = {
    ready: () => Promise.resolve(main),
    another: () => Promise.resolve(createModel(false)),
    closing: new AbortController().signal,
  } as unknown as BrokerConnection;
  return {state, connection};
};

test.each(['never answers', 'ends the connection'] as const)(
  'a queue whose broker %s when it is consumed costs the others no more than their connection, once',
  async (how) => {
    const {state, connection} = createBroker(how);
    const consumer = createConsumer({
      connection,
      queues: ['first', 'bad', 'last'],
      declare: () => Promise.resolve(),
      prefetch: 1,
      log: createLogger({level: 'silent', service: 'test', pod: 'test'}),
      consumeMs: 20,
      leftOutMs: 50,
      onDelivery: () => undefined,
    });
    try {
      await until('the others', () => state.consumed.includes('last'));
      await until('a try', () => state.tries >= (how === 'never answers' ? 1 : 3));
      // What hangs holds up one channel, and that is of nobody else.
      expect(state.consumed).toEqual(how === 'never answers' ? ['first', 'last'] : ['first', 'first', 'last']);
      const channels = how === 'never answers' ? 4 : 6;
      await until('a channel for all', () => state.channels === channels);
      expect(consumer.leftOut()).toEqual(['bad']);
      if (how === 'ends the connection') {
        state.isBad = false;
        await until('the queue', () => state.consumed.includes('bad'));
        expect({leftOut: consumer.leftOut(), channels: state.channels}).toEqual({leftOut: [], channels: 6});
      }
    } finally {
      await consumer.close();
    }
  },
);

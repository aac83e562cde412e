import {EventEmitter} from 'node:events';
import {expect, test} from '@jest/globals';
import type {ConfirmChannel} from 'amqplib';
import {createLogger} from '../telemetry/logger.ts';
import {until} from '../testing/until.ts';
import type {BrokerConnection} from './connection.ts';
import {superviseChannel} from './supervised-channel.ts';

const never = <T>(): Promise<T> => new Promise(() => undefined);

test.each(['the channel is opened', 'the channel is set up'])(
  'a broker that goes silent while %s is asked again',
  async (when) => {
    let opened = 0;
    let setUp = 0;
    const model = {
      createConfirmChannel: () => {
        opened += 1;
        if (when === 'the channel is opened' && opened === 1) return never();
        // As much of one as is used. Its close is not answered either.
        return Promise.resolve(Object.assign(new EventEmitter(), {close: never}));
      },
    };
    const channel = superviseChannel({
      connection: {
        ready: () => Promise.resolve(model),
        closing: new AbortController().signal,
      } as unknown as BrokerConnection,
      name: 'test',
      log: createLogger({level: 'silent', service: 'test', pod: 'test'}),
      setup: () => {
        setUp += 1;
        return when === 'the channel is set up' && setUp === 1 ? never() : Promise.resolve();
      },
      setupMs: 20,
    });
    const current = await until(
      'a channel to be open',
      () => channel.current(),
      (found): found is ConfirmChannel => found !== undefined,
    );
    expect(current).toBeDefined();
    expect(opened).toBe(2);
    await channel.close();
  },
);

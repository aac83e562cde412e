import {setTimeout as delay} from 'node:timers/promises';
import type {ConfirmChannel} from 'amqplib';
import {describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import type {Logger} from '../telemetry/logger.ts';
import type {BrokerConnection} from './connection.ts';

/** A channel that is opened again whenever it or its connection ends. */
export interface SupervisedChannel {
  /** The open channel, or undefined while there is none. */
  readonly current: () => ConfirmChannel | undefined;
  /** Gives up the open channel for a new one, whether the broker answers the close or not. */
  reopen(reason: string): void;
  /** Never rejects. What a broker that hangs leaves open ends with its connection. */
  close(): Promise<void>;
}

export interface SupervisedChannelOptions {
  readonly connection: BrokerConnection;
  /** For logs. */
  readonly name: string;
  readonly log: Logger;
  /** Runs on each new channel before it is handed out: declare, bind, consume. A failure closes the channel and tries again. */
  readonly setup: (channel: ConfirmChannel) => Promise<void>;
  /** The channel is gone and with it every delivery tag and every confirm that was awaited. */
  readonly onLost?: (reason: string) => void;
  /** Until a broker that does not answer is asked again. A queue whose leader is lost may never answer a declaration. */
  readonly setupMs?: number;
}

/** Long enough that a queue which cannot be declared does not fill the log, short enough to go unnoticed. */
const REOPEN_DELAY_MS = 500;
const CLOSE_MS = 2_000;
const SETUP_MS = 60_000;

/** Opens a confirm channel and keeps one open, following the connection; a server that closes a channel does not close its connection. */
export const superviseChannel = (options: SupervisedChannelOptions): SupervisedChannel => {
  const {connection, name, log, setup, setupMs = SETUP_MS} = options;
  const closing = new AbortController();
  const isClosing = (): boolean => closing.signal.aborted || connection.closing.aborted;
  let current: ConfirmChannel | undefined;
  /** The current one, or one that is being set up. */
  let opened: ConfirmChannel | undefined;
  let giveUp: ((reason: Error) => void) | undefined;

  const serve = async (channel: ConfirmChannel): Promise<void> => {
    let reason = 'the channel was closed';
    opened = channel;
    const givenUp = Promise.withResolvers<never>();
    givenUp.promise.catch(() => undefined);
    giveUp = givenUp.reject;
    const closed = new Promise<void>((resolve) => {
      channel.on('error', (error) => {
        reason = describeError(error);
      });
      channel.on('handler-error', (error) =>
        log.error({channel: name, reason: describeError(error)}, 'a handler threw'),
      );
      channel.on('close', () => resolve());
    });
    // amqplib emits "close" only when the channel was closed; a connection that breaks closes all of its channels.
    try {
      const ended = closed.then(() => Promise.reject(new Error(reason)));
      await withTimeout(Promise.race([setup(channel), ended]), setupMs, 'a queue did not answer');
      current = channel;
      await Promise.race([closed, givenUp.promise]);
    } catch (error) {
      reason = describeError(error);
      await withTimeout(channel.close(), CLOSE_MS, 'the broker did not answer the close').catch(() => undefined);
    }
    current = undefined;
    opened = undefined;
    giveUp = undefined;
    options.onLost?.(reason);
    if (!isClosing()) log.warn({channel: name, reason}, 'a broker channel ended and is opened again');
  };

  const run = async (): Promise<void> => {
    while (!isClosing()) {
      try {
        const model = await connection.ready();
        if (isClosing()) return;
        await serve(await withTimeout(model.createConfirmChannel(), setupMs, 'the broker did not answer'));
      } catch (error) {
        if (isClosing()) return;
        log.warn({channel: name, reason: describeError(error)}, 'cannot open a broker channel');
      }
      await delay(REOPEN_DELAY_MS, undefined, {signal: closing.signal}).catch(() => undefined);
    }
  };
  void run();

  return {
    current: () => current,
    reopen: (reason) => giveUp?.(new Error(reason)),
    async close() {
      closing.abort();
      if (opened === undefined) return;
      await withTimeout(opened.close(), CLOSE_MS, 'the broker did not answer the close').catch(() => undefined);
    },
  };
};

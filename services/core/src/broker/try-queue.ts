import type {Channel, ConsumeMessage} from 'amqplib';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import type {BrokerConnection} from './connection.ts';

export interface TryQueueOptions {
  readonly connection: Pick<BrokerConnection, 'another'>;
  readonly queue: string;
  readonly declare: (channel: Channel) => Promise<void>;
  /** What came meanwhile: one message at most. @returns when it is settled */
  readonly onMessage: (message: ConsumeMessage, channel: Channel, life: ChannelLife) => Promise<void>;
  readonly stopping: AbortSignal;
}

/** Of what a channel delivered: once it is over nothing of it can be settled. */
export interface ChannelLife {
  isOver: boolean;
}

/** RabbitMQ waits for over a minute for a queue without a majority, and ends the connection then. */
const ANSWER_MS = 30_000;
const CLOSE_MS = 2_000;

/**
 * Consumes a queue over a connection of its own for a moment. RabbitMQ ends the whole connection that asks for a queue which has no leader, so a queue that may be
 * such a one is asked for where nothing else is lost.
 * @throws what says that the queue cannot be consumed
 */
export const tryQueue = async (options: TryQueueOptions): Promise<void> => {
  const {connection, queue, declare, onMessage, stopping} = options;
  const model = await connection.another();
  const life: ChannelLife = {isOver: false};
  let inHand = Promise.resolve();
  const ended = new Promise<void>((resolve) => model.on('close', () => resolve()));
  // What is wrong comes as the failure of a call.
  model.on('error', () => undefined);
  const close = async (): Promise<void> => {
    await withTimeout(model.close(), CLOSE_MS, 'no answer').catch(() => undefined);
    life.isOver = true;
  };
  const ask = async (): Promise<Channel> => {
    const channel = await model.createChannel();
    channel.on('error', () => undefined);
    channel.on('close', () => (life.isOver = true));
    await declare(channel);
    await channel.prefetch(1);
    const {consumerTag} = await channel.consume(queue, (message) => {
      if (message !== null) inHand = onMessage(message, channel, life);
    });
    await channel.cancel(consumerTag);
    return channel;
  };
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(new Error('the consumer stops'));
  stopping.addEventListener('abort', stop);
  let channel: Channel;
  try {
    channel = await withTimeout(Promise.race([ask(), stopped.promise]), ANSWER_MS, `no answer within ${ANSWER_MS} ms`);
  } catch (error) {
    void close();
    throw error;
  } finally {
    stopping.removeEventListener('abort', stop);
  }
  // The broker forgets an ack that it has just received when the connection ends, and not when the channel does.
  const closeChannel = (): Promise<void> => withTimeout(channel.close(), CLOSE_MS, 'no answer').catch(() => undefined);
  void Promise.race([inHand.then(closeChannel), ended]).then(close);
};

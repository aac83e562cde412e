import type {Channel, ConfirmChannel, ConsumeMessage} from 'amqplib';
import {describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import type {Logger} from '../telemetry/logger.ts';
import type {BrokerConnection} from './connection.ts';
import {ATTEMPT_HEADER} from './names.ts';
import {superviseChannel} from './supervised-channel.ts';

/** A message in the hands of this process until it is acked, nacked, or its channel ends; then the broker delivers it again. */
export interface Delivery {
  readonly queue: string;
  readonly routingKey: string;
  readonly content: Buffer;
  /** How many attempts came before: 0 for a fresh message. */
  readonly attempt: number;
  /** How often it was in somebody's hands before and came back: its process died, lost its connection, or gave it back. */
  readonly returned: number;
  /** Its channel is gone: settling it has no effect and it will be delivered again. */
  readonly isLost: () => boolean;
  /** Done with it. Without effect when the channel is gone: it will come again, which idempotent receivers do not mind. */
  ack(): void;
  /** Back to the queue, to be delivered again at once. */
  requeue(): void;
}

export interface Consumer {
  /** Stops new deliveries; those in hand stay valid. Never rejects: a broker that does not answer in time may still deliver. */
  pause(): Promise<void>;
  /** @returns once no delivery comes any more; acks remain possible until `close`. */
  close(): Promise<void>;
}

export interface ConsumerOptions {
  readonly connection: BrokerConnection;
  readonly queues: readonly string[];
  /** Declares the queues, on every new channel: the broker may have come back without them. */
  readonly declare: (channel: Channel) => Promise<void>;
  /** Messages per queue that may be neither acked nor requeued. */
  readonly prefetch: number;
  readonly log: Logger;
  /** Must not throw; what it does in the background is its own business. */
  readonly onDelivery: (delivery: Delivery) => void;
}

/** For the broker's answer to a cancel: a stop has some seconds, and other things to do in them. */
const CANCEL_MS = 2_000;

/** Consumes several queues over one channel, again after every loss of it, also when the broker cancels (a queue's leader moved). */
export const createConsumer = (options: ConsumerOptions): Consumer => {
  const {connection, queues, declare, prefetch, log, onDelivery} = options;
  let paused = false;
  let tags: string[] = [];
  /** Grows with each channel: a tag of an older one means nothing on the present. */
  let generation = 0;

  const deliver = (channel: ConfirmChannel, queue: string, born: number, message: ConsumeMessage | null): void => {
    if (message === null) {
      log.warn({queue}, 'the broker cancelled a consumer');
      // Closing makes the supervisor start over with all queues.
      channel.close().catch(() => undefined);
      return;
    }
    let settled = false;
    const settle = (how: () => void): void => {
      if (settled) return;
      settled = true;
      if (born !== generation) return;
      try {
        how();
      } catch {
        // The channel closed a moment ago; the broker has taken the message back.
      }
    };
    onDelivery({
      queue,
      routingKey: message.fields.routingKey,
      content: message.content,
      attempt: countOf(message, ATTEMPT_HEADER),
      returned: countOf(message, DELIVERY_COUNT_HEADER),
      isLost: () => born !== generation,
      ack: () => settle(() => channel.ack(message)),
      requeue: () => settle(() => channel.nack(message, false, true)),
    });
  };

  const isPaused = (): boolean => paused;

  const cancelAll = async (channel: ConfirmChannel): Promise<void> => {
    const cancelled = tags;
    tags = [];
    for (const tag of cancelled) await channel.cancel(tag);
  };

  const consumeAll = async (channel: ConfirmChannel): Promise<void> => {
    const born = generation;
    for (const queue of queues) {
      const {consumerTag} = await channel.consume(queue, (message) => deliver(channel, queue, born, message));
      tags.push(consumerTag);
    }
  };

  const supervised = superviseChannel({
    connection,
    name: 'consumer',
    log,
    setup: async (channel) => {
      generation += 1;
      tags = [];
      await declare(channel);
      await channel.prefetch(prefetch);
      if (!paused) await consumeAll(channel);
      // Paused while the queues were being asked for one by one.
      if (isPaused()) await cancelAll(channel);
    },
    onLost: () => {
      generation += 1;
      tags = [];
    },
  });

  return {
    async pause() {
      paused = true;
      const channel = supervised.current();
      // Without a channel the next one does not consume, and so it is when this one is lost on the way.
      if (channel === undefined) return;
      await withTimeout(cancelAll(channel), CANCEL_MS, `no answer within ${CANCEL_MS} ms`).catch((error: unknown) =>
        log.warn({queues, reason: describeError(error)}, 'the broker did not stop delivering'),
      );
    },
    close: () => supervised.close(),
  };
};

/** Of quorum queues (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling). */
const DELIVERY_COUNT_HEADER = 'x-delivery-count';

const countOf = (message: ConsumeMessage, header: string): number => {
  // Headers are whatever the sender wrote.
  const value: unknown = message.properties.headers?.[header];
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
};

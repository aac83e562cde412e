import type {Channel, ConfirmChannel, ConsumeMessage} from 'amqplib';
import {describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import {sleep} from '../lifecycle/sleep.ts';
import type {Logger} from '../telemetry/logger.ts';
import type {BrokerConnection} from './connection.ts';
import {ATTEMPT_HEADER} from './names.ts';
import {superviseChannel} from './supervised-channel.ts';
import {type ChannelLife, tryQueue} from './try-queue.ts';

/** A message in the hands of this process until it is acked, nacked, or its channel ends; then the broker delivers it again. */
export interface Delivery {
  readonly queue: string;
  readonly routingKey: string;
  readonly content: Buffer;
  /** How many attempts came before: 0 for a fresh message. */
  readonly attempt: number;
  /**
   * How often it was in somebody's hands and came back: its process died or gave it back. The broker also counts connections that were lost; as many as this process lost in the
   * last hour are taken off.
   */
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
  /** For how long a queue is left out that cannot be consumed. */
  readonly leftOutMs?: number;
  /** For the broker's answer to who consumes a queue. */
  readonly consumeMs?: number;
  /** Must not throw; what it does in the background is its own business. */
  readonly onDelivery: (delivery: Delivery) => void;
}

/** For the broker's answer to a cancel: a stop has some seconds, and other things to do in them. */
const CANCEL_MS = 2_000;
/** Far above what a queue takes that can be consumed. One without a majority takes over a minute, and holds up its channel meanwhile. */
const CONSUME_MS = 10_000;
const LEFT_OUT_MS = 60_000;
/** A channel may have ended for another reason, so the first try is soon; but a queue that was deleted has to be gone before it is declared anew. */
const FIRST_PAUSE_MS = 500;
/** Longer than a message is kept in hand while its shard is away. */
const REMEMBERED_MS = 3_600_000;

/** A channel that is consumed, and what is consumed over it. */
interface Open extends ChannelLife {
  readonly channel: ConfirmChannel;
  readonly asked: Set<string>;
  readonly tags: Map<string, string>;
}

/**
 * Consumes several queues over one channel, again after every loss of it. A queue that cannot be consumed, because it has no leader for instance, is left out and tried again
 * over a connection of its own: whoever asks for it loses the connection, and with it what comes from all others.
 */
export const createConsumer = (options: ConsumerOptions): Consumer => {
  const {
    connection,
    queues,
    declare,
    prefetch,
    log,
    onDelivery,
    leftOutMs = LEFT_OUT_MS,
    consumeMs = CONSUME_MS,
  } = options;
  const stopping = new AbortController();
  const isPaused = (): boolean => stopping.signal.aborted;
  const leftOut = new Set<string>();
  const backLately = new Set<string>();
  let open: Open | undefined;
  /** How often all that was in hand went back although no process died. What befalls this one befalls the others: they have the same broker. */
  let ends = 0;

  const countEnd = (): void => {
    ends += 1;
    setTimeout(() => (ends -= 1), REMEMBERED_MS).unref();
  };

  /** @returns when it is settled */
  const deliver = (channel: Channel, life: ChannelLife, queue: string, message: ConsumeMessage): Promise<void> => {
    const {promise, resolve} = Promise.withResolvers<undefined>();
    let settled = false;
    const settle = (how: () => void): void => {
      if (settled) return;
      settled = true;
      resolve(undefined);
      if (life.isOver) return;
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
      returned: Math.max(0, countOf(message, DELIVERY_COUNT_HEADER) - ends),
      isLost: () => life.isOver,
      ack: () => settle(() => channel.ack(message)),
      requeue: () => settle(() => channel.nack(message, false, true)),
    });
    return promise;
  };

  const receive = (from: Open, queue: string, message: ConsumeMessage | null): void => {
    if (message !== null) {
      void deliver(from.channel, from, queue, message);
      return;
    }
    from.asked.delete(queue);
    from.tags.delete(queue);
    leaveOut(queue, 'the broker cancelled the consumer');
  };

  const cancelAll = async ({channel, tags}: Open): Promise<void> => {
    const cancelled = [...tags.values()];
    tags.clear();
    for (const tag of cancelled) await channel.cancel(tag);
  };

  const consumeAll = async (on: Open): Promise<void> => {
    for (const queue of queues) {
      if (isPaused()) break;
      if (leftOut.has(queue) || on.asked.has(queue)) continue;
      on.asked.add(queue);
      try {
        const asked = on.channel.consume(queue, (message) => receive(on, queue, message));
        const {consumerTag} = await withTimeout(asked, consumeMs, `no answer within ${consumeMs} ms`);
        on.tags.set(queue, consumerTag);
      } catch (error) {
        leaveOut(queue, describeError(error));
        throw error;
      }
    }
    // Paused while the queues were being asked for one by one.
    if (isPaused()) await cancelAll(on);
  };

  const leaveOut = (queue: string, reason: string): void => {
    if (leftOut.has(queue) || isPaused()) return;
    leftOut.add(queue);
    log.warn({queue, reason}, 'a queue is left out until it can be consumed');
    void bringBack(queue, backLately.has(queue) ? leftOutMs : FIRST_PAUSE_MS);
  };

  const bringBack = async (queue: string, firstPauseMs: number): Promise<void> => {
    for (let pauseMs = firstPauseMs; ; pauseMs = leftOutMs) {
      await sleep(pauseMs, stopping.signal);
      try {
        await connection.ready();
        if (isPaused()) return;
        const onMessage = async (message: ConsumeMessage, channel: Channel, life: ChannelLife): Promise<void> => {
          if (!isPaused()) await deliver(channel, life, queue, message);
        };
        await tryQueue({connection, queue, declare, onMessage, stopping: stopping.signal});
        break;
      } catch (error) {
        if (isPaused()) return;
        log.warn({queue, reason: describeError(error)}, 'a queue cannot be consumed');
      }
    }
    log.info({queue}, 'a queue can be consumed again');
    backLately.add(queue);
    setTimeout(() => backLately.delete(queue), leftOutMs).unref();
    leftOut.delete(queue);
    // One that fails all the same begins anew with its next channel.
    if (open !== undefined) await consumeAll(open).catch((error: unknown) => supervised.reopen(describeError(error)));
  };

  const supervised = superviseChannel({
    connection,
    name: 'consumer',
    log,
    setup: async (channel) => {
      await declare(channel);
      await channel.prefetch(prefetch);
      open = {channel, asked: new Set(), tags: new Map(), isOver: false};
      await consumeAll(open);
    },
    onLost: () => {
      if (open === undefined) return;
      if (open.asked.size > 0) countEnd();
      open.isOver = true;
      open = undefined;
    },
  });

  return {
    async pause() {
      stopping.abort();
      // Without a channel the next one does not consume, and so it is when this one is lost on the way.
      if (open === undefined) return;
      await withTimeout(cancelAll(open), CANCEL_MS, `no answer within ${CANCEL_MS} ms`).catch((error: unknown) =>
        log.warn({queues, reason: describeError(error)}, 'the broker did not stop delivering'),
      );
    },
    close() {
      stopping.abort();
      return supervised.close();
    },
  };
};

/** Of quorum queues (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling). */
const DELIVERY_COUNT_HEADER = 'x-delivery-count';

const countOf = (message: ConsumeMessage, header: string): number => {
  // Headers are whatever the sender wrote.
  const value: unknown = message.properties.headers?.[header];
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
};

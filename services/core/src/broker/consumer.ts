import type {Channel, ChannelModel, ConfirmChannel, ConsumeMessage} from 'amqplib';
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
  /** The broker has taken it back, with its channel or its consumer: settling it has no effect and it will be delivered again. */
  readonly isLost: () => boolean;
  /** Done with it. Without effect when the channel is gone: it will come again, which idempotent receivers do not mind. */
  ack(): void;
  /** Back to the queue, to be delivered again at once. */
  requeue(): void;
}

export interface Consumer {
  /** Queues whose consumption could not begin, or was cancelled by the broker. */
  readonly leftOut: () => readonly string[];
  /** Stops new deliveries; those in hand stay valid. Never rejects: a broker that does not answer in time may still deliver. */
  pause(): Promise<void>;
  /** @returns once no delivery comes any more; acks remain possible until `close`. */
  close(): Promise<void>;
}

export interface ConsumerOptions {
  readonly connection: BrokerConnection;
  readonly queues: readonly string[];
  /** Declares the queues, on every new connection: the broker may have come back without them. */
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
const DECLARE_MS = 30_000;
const LEFT_OUT_MS = 60_000;
/** A channel may have ended for another reason, so the first try is soon; but a queue that was deleted has to be gone before it is declared anew. */
const FIRST_PAUSE_MS = 500;
/** Longer than a message is kept in hand while its shard is away. */
const REMEMBERED_MS = 3_600_000;

/** The channel of a queue. */
interface Open extends ChannelLife {
  readonly channel: ConfirmChannel;
  isAsked: boolean;
  tag: string | undefined;
}

type QueueConsumerOptions = Omit<ConsumerOptions, 'queues'> & {
  readonly queue: string;
  /** Runs one after the other, so that a connection that ends meanwhile tells which queue it was. */
  readonly inTurn: (ask: () => Promise<void>) => Promise<void>;
};

/**
 * Consumes several queues, again after every loss of a channel. Each has a channel of its own: RabbitMQ holds up all of a channel for a queue that has no majority, and keeps what
 * it has delivered over it for over a minute, whether the connection is closed or not.
 */
export const createConsumer = ({queues, declare, ...options}: ConsumerOptions): Consumer => {
  const declareOnce = oncePerConnection(declare);
  let last = Promise.resolve();
  const inTurn = (ask: () => Promise<void>): Promise<void> => {
    const asked = last.then(ask);
    last = asked.catch(() => undefined);
    return asked;
  };
  const consumers = queues.map((queue) => consumeQueue({...options, declare: declareOnce, queue, inTurn}));
  return {
    leftOut: () => consumers.flatMap((consumer) => consumer.leftOut()),
    async pause() {
      await Promise.all(consumers.map((consumer) => consumer.pause()));
    },
    async close() {
      await Promise.all(consumers.map((consumer) => consumer.close()));
    },
  };
};

const oncePerConnection = (declare: ConsumerOptions['declare']): ConsumerOptions['declare'] => {
  const declared = new WeakMap<ChannelModel['connection'], Promise<void>>();
  return (channel) => {
    const {connection} = channel;
    const known = declared.get(connection);
    if (known !== undefined) return known;
    const declaring = withTimeout(declare(channel), DECLARE_MS, 'a queue did not answer');
    declared.set(connection, declaring);
    declaring.catch(() => declared.delete(connection));
    return declaring;
  };
};

/**
 * A queue that cannot be consumed, because it has no leader for instance, is left out and tried again over a connection of its own: whoever asks for it loses the connection,
 * and with it what comes from all others.
 */
const consumeQueue = (options: QueueConsumerOptions): Consumer => {
  const {
    connection,
    queue,
    declare,
    prefetch,
    log,
    inTurn,
    onDelivery,
    leftOutMs = LEFT_OUT_MS,
    consumeMs = CONSUME_MS,
  } = options;
  const stopping = new AbortController();
  const isPaused = (): boolean => stopping.signal.aborted;
  let isLeftOut = false;
  let isBackLately = false;
  let open: Open | undefined;
  /** How often all that was in hand went back although no process died. What befalls this one befalls the others: they have the same broker. */
  let ends = 0;

  const countEnd = (): void => {
    ends += 1;
    setTimeout(() => (ends -= 1), REMEMBERED_MS).unref();
  };

  /** @returns when it is settled */
  const deliver = (channel: Channel, life: ChannelLife, message: ConsumeMessage): Promise<void> => {
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

  const receive = (from: Open, message: ConsumeMessage | null): void => {
    if (message !== null) {
      void deliver(from.channel, from, message);
      return;
    }
    // With the queue, or because a message was in hand for too long: RabbitMQ from 4.3 on takes back all that was, and leaves the channel open.
    from.isOver = true;
    from.tag = undefined;
    const reason = 'the broker cancelled the consumer';
    leaveOut(reason);
    supervised.reopen(reason);
  };

  const cancel = async (on: Open): Promise<void> => {
    const {tag} = on;
    on.tag = undefined;
    if (tag !== undefined) await on.channel.cancel(tag);
  };

  const consume = async (on: Open): Promise<void> => {
    if (isPaused() || isLeftOut || on.isAsked) return;
    // Not this queue's fault.
    if (on.isOver) throw new Error('the channel was closed');
    on.isAsked = true;
    try {
      const asked = on.channel.consume(queue, (message) => receive(on, message));
      on.tag = (await withTimeout(asked, consumeMs, `no answer within ${consumeMs} ms`)).consumerTag;
    } catch (error) {
      leaveOut(describeError(error));
      throw error;
    }
    // Paused while the queue was being asked for.
    if (isPaused()) await cancel(on);
  };

  const leaveOut = (reason: string): void => {
    if (isLeftOut || isPaused()) return;
    isLeftOut = true;
    log.warn({queue, reason}, 'a queue is left out until it can be consumed');
    void bringBack(isBackLately ? leftOutMs : FIRST_PAUSE_MS);
  };

  const bringBack = async (firstPauseMs: number): Promise<void> => {
    for (let pauseMs = firstPauseMs; ; pauseMs = leftOutMs) {
      await sleep(pauseMs, stopping.signal);
      try {
        await connection.ready();
        if (isPaused()) return;
        const onMessage = async (message: ConsumeMessage, channel: Channel, life: ChannelLife): Promise<void> => {
          if (!isPaused()) await deliver(channel, life, message);
        };
        await tryQueue({connection, queue, declare, onMessage, stopping: stopping.signal});
        break;
      } catch (error) {
        if (isPaused()) return;
        log.warn({queue, reason: describeError(error)}, 'a queue cannot be consumed');
      }
    }
    log.info({queue}, 'a queue can be consumed again');
    isBackLately = true;
    setTimeout(() => (isBackLately = false), leftOutMs).unref();
    isLeftOut = false;
    const on = open;
    // One that fails all the same begins anew with its next channel.
    if (on !== undefined)
      await inTurn(() => consume(on)).catch((error: unknown) => supervised.reopen(describeError(error)));
  };

  const supervised = superviseChannel({
    connection,
    name: `consumer of ${queue}`,
    log,
    setup: async (channel) => {
      await declare(channel);
      await channel.prefetch(prefetch);
      const on: Open = {channel, isAsked: false, tag: undefined, isOver: false};
      channel.on('close', () => (on.isOver = true));
      open = on;
      await inTurn(() => consume(on));
    },
    onLost: () => {
      if (open === undefined) return;
      if (open.isAsked) countEnd();
      open.isOver = true;
      open = undefined;
    },
  });

  return {
    leftOut: () => (isLeftOut ? [queue] : []),
    async pause() {
      stopping.abort();
      // Without a channel the next one does not consume, and so it is when this one is lost on the way.
      if (open === undefined) return;
      await withTimeout(cancel(open), CANCEL_MS, `no answer within ${CANCEL_MS} ms`).catch((error: unknown) =>
        log.warn({queue, reason: describeError(error)}, 'the broker did not stop delivering'),
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

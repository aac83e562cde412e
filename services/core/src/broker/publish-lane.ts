import type {Channel, ConfirmChannel} from 'amqplib';
import {AppError} from '../errors/app-error.ts';
import type {Logger} from '../telemetry/logger.ts';
import type {BrokerConnection} from './connection.ts';
import type {Outgoing} from './outgoing.ts';
import {superviseChannel} from './supervised-channel.ts';

/** What goes to one queue, over a channel of its own: RabbitMQ works on nothing else of a channel while it waits for a queue that has no majority. */
export interface PublishLane {
  /** As {@link Publisher}.publish. */
  publish(message: Outgoing): Promise<void>;
  /** Messages that wait for their confirm, or to be sent. */
  readonly inFlight: () => number;
  close(): Promise<void>;
}

export interface PublishLaneOptions {
  readonly connection: BrokerConnection;
  /** For logs. */
  readonly name: string;
  /** Runs on a new channel when the one before ended by an error: what messages go to may be gone. */
  readonly declare: (channel: Channel) => Promise<void>;
  /** Runs when the broker has returned a message, which ends no channel: the queue is gone, or what leads to it. The message is sent once more then. */
  readonly declareAgain: () => Promise<void>;
  readonly confirmTimeoutMs: number | undefined;
  /** Without any confirm for so long, what was sent is given up and a new channel opened. */
  readonly silentMs?: number;
  readonly log: Logger;
}

interface Pending {
  readonly message: Outgoing;
  returned: boolean;
  isSentAgain: boolean;
  readonly resolve: () => void;
  readonly reject: (error: AppError) => void;
}

interface Open {
  readonly channel: ConfirmChannel;
  /** Messages that the broker has not answered, also those that their callers gave up. */
  unanswered: number;
  /** How many there may be: one, until the broker has answered over this channel. */
  most: number;
}

/** A broker reads from nobody's connection any more of which one channel has 400 messages to work on (its `credit_flow_default_credit`). */
const MOST_UNANSWERED = 100;
/** A queue that comes back confirms by itself. Each new channel may leave a copy of its first message, so this is for a confirm that is lost. */
const SILENT_MS = 600_000;

export const createPublishLane = (options: PublishLaneOptions): PublishLane => {
  const {connection, name, declare, declareAgain, confirmTimeoutMs, silentMs = SILENT_MS, log} = options;
  const pending = new Map<string, Pending>();
  /** Not sent yet. */
  const waiting = new Map<string, Outgoing>();
  let open: Open | undefined;
  let silence: NodeJS.Timeout | undefined;
  let nextId = 0;
  let isDeclared = true;

  const unknown = (reason: string): AppError =>
    new AppError('broker-timeout', `it is unknown whether the broker has the message: ${reason}`);

  const giveUpAll = (reason: string): void => {
    for (const entry of [...pending.values()]) entry.reject(unknown(reason));
  };

  const listen = (to: Open): void => {
    clearTimeout(silence);
    silence =
      to.unanswered === 0
        ? undefined
        : setTimeout(() => supervised.reopen(`no confirm for ${silentMs} ms`), silentMs).unref();
  };

  const answered = (to: Open): void => {
    to.unanswered -= 1;
    to.most = MOST_UNANSWERED;
    if (to !== open) return;
    listen(to);
    sendWaiting();
  };

  const sendWaiting = (): void => {
    for (const [messageId, message] of waiting) {
      if (open === undefined || open.unanswered >= open.most) return;
      waiting.delete(messageId);
      send(open, messageId, message);
    }
  };

  const send = (to: Open, messageId: string, {exchange, routingKey, content, contentType, headers}: Outgoing): void => {
    // The channel keeps this for as long as the broker does not answer, which may be hours: no function here may hold the content.
    const onConfirm = (error: unknown): void => {
      const entry = pending.get(messageId);
      if (error !== null && error !== undefined) {
        entry?.reject(
          new AppError('broker-timeout', 'the broker refused the message or lost the channel', {cause: error}),
        );
      } else if (entry?.returned === true) {
        sendAgain(messageId, entry);
      } else {
        entry?.resolve();
      }
      answered(to);
    };
    try {
      to.channel.publish(
        exchange,
        routingKey,
        content,
        {persistent: true, mandatory: true, messageId, contentType, headers: headers ?? {}},
        onConfirm,
      );
    } catch (error) {
      pending
        .get(messageId)
        ?.reject(new AppError('broker-unavailable', 'the channel closed before the message was sent', {cause: error}));
      return;
    }
    to.unanswered += 1;
    if (to.unanswered === 1) listen(to);
  };

  /** It is in no queue, so this leaves no copy. */
  const sendAgain = (messageId: string, entry: Pending): void => {
    const {exchange, routingKey} = entry.message;
    const refuse = (cause?: unknown): void =>
      entry.reject(new AppError('broker-unavailable', `${exchange} has no queue for ${routingKey}`, {cause}));
    if (entry.isSentAgain) {
      refuse();
      return;
    }
    entry.isSentAgain = true;
    entry.returned = false;
    declareAgain().then(() => {
      if (!pending.has(messageId)) return;
      waiting.set(messageId, entry.message);
      sendWaiting();
    }, refuse);
  };

  const supervised = superviseChannel({
    connection,
    name,
    log,
    setup: async (channel) => {
      channel.on('error', () => (isDeclared = false));
      if (!isDeclared) await declare(channel);
      isDeclared = true;
      // A returned message is confirmed too, just after: the return has to be remembered until then.
      channel.on('return', (message) => {
        // messageId was set above, as text.
        const entry = pending.get(String(message.properties.messageId));
        if (entry !== undefined) entry.returned = true;
      });
      open = {channel, unanswered: 0, most: 1};
      sendWaiting();
    },
    onLost: (reason) => {
      open = undefined;
      clearTimeout(silence);
      giveUpAll(reason);
    },
  });

  return {
    publish(message) {
      const messageId = String(nextId++);
      const {promise, resolve, reject} = Promise.withResolvers<undefined>();
      const settle = (outcome: () => void): void => {
        if (!pending.delete(messageId)) return;
        waiting.delete(messageId);
        clearTimeout(timer);
        outcome();
      };
      const entry: Pending = {
        message,
        returned: false,
        isSentAgain: false,
        resolve: () => settle(() => resolve(undefined)),
        reject: (error) => settle(() => reject(error)),
      };
      const giveUp = (): void =>
        entry.reject(new AppError('broker-timeout', `the broker did not confirm within ${confirmTimeoutMs} ms`));
      const timer = confirmTimeoutMs === undefined ? undefined : setTimeout(giveUp, confirmTimeoutMs);
      pending.set(messageId, entry);
      waiting.set(messageId, message);
      sendWaiting();
      return promise;
    },
    inFlight: () => pending.size,
    async close() {
      await supervised.close();
      giveUpAll('the publisher is closed');
    },
  };
};

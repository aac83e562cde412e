import type {Channel} from 'amqplib';
import {Gauge, Histogram, type Registry} from 'prom-client';
import {AppError} from '../errors/app-error.ts';
import type {Logger} from '../telemetry/logger.ts';
import type {BrokerConnection} from './connection.ts';
import {superviseChannel} from './supervised-channel.ts';

export interface Outgoing {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string | number>>;
}

/** Publishes with confirms: resolved means that a majority of the queue's replicas has it on disk. */
export interface Publisher {
  /**
   * @throws AppError `broker-unavailable` at once when nothing was sent (no connection, publishers blocked, no such queue), or
   * `broker-timeout` when the outcome is unknown (no confirm in time, channel lost): send it again, receivers are idempotent.
   */
  publish(message: Outgoing): Promise<void>;
  /** Messages sent and not yet confirmed. */
  readonly inFlight: () => number;
  /** Why publishing would fail at once, or undefined. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

export interface PublisherOptions {
  readonly connection: BrokerConnection;
  /** Makes sure, on each new channel, that the queues are there that messages go to. */
  readonly declare: (channel: Channel) => Promise<void>;
  /**
   * For callers that somebody waits for. Undefined for those that have in hand what they publish: the outcome is open until the broker says it or the channel is lost,
   * because to publish anew after each time would leave a copy each time.
   */
  readonly confirmTimeoutMs: number | undefined;
  readonly log: Logger;
  readonly registry: Registry;
}

interface Pending {
  returned: boolean;
  readonly reject: (error: AppError) => void;
}

export const createPublisher = (options: PublisherOptions): Publisher => {
  const {connection, declare, confirmTimeoutMs, log, registry} = options;
  const pending = new Map<string, Pending>();
  let nextId = 0;

  const seconds = new Histogram({
    name: 'pisync_broker_confirm_seconds',
    help: 'Time from publishing a message to its confirm',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  new Gauge({
    name: 'pisync_broker_unconfirmed',
    help: 'Messages sent and not yet confirmed',
    registers: [registry],
    collect() {
      this.set(pending.size);
    },
  });

  const supervised = superviseChannel({
    connection,
    name: 'publisher',
    log,
    setup: async (channel) => {
      await declare(channel);
      // A returned message is confirmed too, just after: the return has to be remembered until then.
      channel.on('return', (message) => {
        // messageId was set below, as text.
        const entry = pending.get(String(message.properties.messageId));
        if (entry !== undefined) entry.returned = true;
      });
    },
    onLost: (reason) => {
      for (const entry of [...pending.values()]) {
        entry.reject(new AppError('broker-timeout', `it is unknown whether the broker has the message: ${reason}`));
      }
    },
  });

  const trouble = (): string | undefined =>
    connection.trouble() ?? (supervised.current() === undefined ? 'no channel is open' : undefined);

  return {
    publish({exchange, routingKey, content, contentType, headers}) {
      const channel = supervised.current();
      const reason = trouble();
      if (channel === undefined || reason !== undefined) {
        return Promise.reject(
          new AppError('broker-unavailable', `nothing was published: ${reason ?? 'no channel is open'}`),
        );
      }
      const messageId = String(nextId++);
      const stopTimer = seconds.startTimer();
      const {promise, resolve, reject} = Promise.withResolvers<undefined>();
      const settle = (outcome: () => void): void => {
        if (!pending.delete(messageId)) return;
        clearTimeout(timer);
        outcome();
      };
      const entry: Pending = {returned: false, reject: (error) => settle(() => reject(error))};
      const giveUp = (): void =>
        entry.reject(new AppError('broker-timeout', `the broker did not confirm within ${confirmTimeoutMs} ms`));
      const timer = confirmTimeoutMs === undefined ? undefined : setTimeout(giveUp, confirmTimeoutMs);
      pending.set(messageId, entry);
      // The channel keeps this for as long as the broker does not answer, which may be hours: no function here may hold the content.
      const onConfirm = (error: unknown): void => {
        if (error !== null && error !== undefined) {
          entry.reject(
            new AppError('broker-timeout', 'the broker refused the message or lost the channel', {cause: error}),
          );
        } else if (entry.returned) {
          entry.reject(new AppError('broker-unavailable', `${exchange} has no queue for ${routingKey}`));
        } else {
          settle(() => {
            stopTimer();
            resolve(undefined);
          });
        }
      };
      try {
        channel.publish(
          exchange,
          routingKey,
          content,
          {persistent: true, mandatory: true, messageId, contentType, headers: headers ?? {}},
          onConfirm,
        );
      } catch (error) {
        entry.reject(
          new AppError('broker-unavailable', 'the channel closed before the message was sent', {cause: error}),
        );
      }
      return promise;
    },
    inFlight: () => pending.size,
    trouble,
    async close() {
      await supervised.close();
      registry.removeSingleMetric('pisync_broker_confirm_seconds');
      registry.removeSingleMetric('pisync_broker_unconfirmed');
    },
  };
};

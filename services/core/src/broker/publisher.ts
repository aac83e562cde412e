import type {Channel} from 'amqplib';
import {Gauge, Histogram, type Registry} from 'prom-client';
import {AppError} from '../errors/app-error.ts';
import type {Logger} from '../telemetry/logger.ts';
import type {BrokerConnection} from './connection.ts';
import {createDeclareAgain} from './declare-again.ts';
import type {Outgoing} from './outgoing.ts';
import {createPublishLane, type PublishLane} from './publish-lane.ts';
import {superviseChannel} from './supervised-channel.ts';

/** Publishes with confirms: resolved means that a majority of the queue's replicas has it on disk. One queue that does not confirm is no other's problem. */
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
  /** Makes sure that the queues are there that messages go to: on each new connection, and again when the broker ends a channel or returns a message because something is missing. */
  readonly declare: (channel: Channel) => Promise<void>;
  /**
   * For callers that somebody waits for. Undefined for those that have in hand what they publish: the outcome is open until the broker says it or the channel is lost,
   * because to publish anew after each time would leave a copy each time.
   */
  readonly confirmTimeoutMs: number | undefined;
  readonly log: Logger;
  readonly registry: Registry;
}

export const createPublisher = (options: PublisherOptions): Publisher => {
  const {connection, declare, confirmTimeoutMs, log, registry} = options;
  const lanes = new Map<string, PublishLane>();
  const declareAgain = createDeclareAgain({connection, declare});
  const inFlight = (): number => [...lanes.values()].reduce((sum, lane) => sum + lane.inFlight(), 0);

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
      this.set(inFlight());
    },
  });

  const supervised = superviseChannel({
    connection,
    name: 'publisher',
    log,
    setup: declare,
  });

  const trouble = (): string | undefined =>
    connection.trouble() ?? (supervised.current() === undefined ? 'no channel is open' : undefined);

  const laneOf = ({exchange, routingKey, way = routingKey}: Outgoing): PublishLane => {
    const key = `${exchange}/${way}`;
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const lane = createPublishLane({
      connection,
      name: `publisher to ${key}`,
      declare,
      declareAgain,
      confirmTimeoutMs,
      log,
    });
    lanes.set(key, lane);
    return lane;
  };

  return {
    async publish(message) {
      const reason = trouble();
      if (reason !== undefined) throw new AppError('broker-unavailable', `nothing was published: ${reason}`);
      const stopTimer = seconds.startTimer();
      await laneOf(message).publish(message);
      stopTimer();
    },
    inFlight,
    trouble,
    async close() {
      await Promise.all([supervised, ...lanes.values()].map((opened) => opened.close()));
      registry.removeSingleMetric('pisync_broker_confirm_seconds');
      registry.removeSingleMetric('pisync_broker_unconfirmed');
    },
  };
};

import {assertBrokerTopology, assertParkedQueue} from '@pisync/core/broker/broker-topology';
import {type BrokerConnection} from '@pisync/core/broker/connection';
import {type Consumer, type ConsumerOptions, createConsumer, type Delivery} from '@pisync/core/broker/consumer';
import {type BrokerNames, QUEUE_PRIORITIES} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {type Cache} from '@pisync/core/cache/cache';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Tracer} from '@pisync/core/telemetry/tracing';
import {type Registry} from 'prom-client';
import {createPgShardStore} from './apply/pg-shard-store.ts';
import {createAnnounce} from './intake/announce.ts';
import {createHeld} from './intake/held.ts';
import {createIntake} from './intake/intake.ts';
import {createKeepMessage, createKeepUnreadable, createPutOff, createStoreUnreadable} from './intake/unreadable.ts';
import {createSuspects} from './intake/suspects.ts';
import {createWorkerMetrics} from './metrics.ts';
import {createRequestLanes} from './requests/request-lanes.ts';

export interface WorkerOptions {
  readonly shards: Shards;
  readonly cache: Cache;
  /** For consuming alone: a broker that blocks a connection because of what it publishes also stops reading its acks. */
  readonly connection: BrokerConnection;
  /** Without a deadline: what a worker publishes it has in hand. */
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly partitions: number;
  /** Windows at work at once for each shard. */
  readonly concurrency: number;
  readonly keptDays: () => number;
  /** Called each time that a shard has gone away. */
  readonly onAway: (shardId: number) => void;
  readonly log: Logger;
  readonly registry: Registry;
  readonly tracer: Tracer | undefined;
  readonly now: () => number;
  readonly newId: () => string;
  readonly timers: Timers;
}

export interface Worker {
  /** Opens the lanes of shards that the topology has got since. */
  follow(): void;
  /** Takes nothing more, finishes the commits at work, acks them and gives back the rest. */
  close(): Promise<void>;
}

/** Of each priority. They are small, and those for a shard that is away are put off. */
const REQUESTS_IN_HAND = 1000;
/**
 * Bundles in hand, over all partitions of a priority. A bundle holds some ten batches of twenty records under load, so those that are normal
 * fill the windows at work and the next ones; what people ask for is less. Alone in the night it is memory, some 20 KB a bundle. Bodies in hand are not read, so the
 * largest bundles, of a MiB, are 80 MiB outside of the heap.
 */
const BUNDLES_IN_HAND = {high: 16, normal: 64} as const;
/**
 * Parked bundles in hand: of each shard, and of all shards as far as each has one. They were packed, so one or two are a window, of which one is at work; while the shard is
 * away they are what it is tried with.
 */
const PARKED_IN_HAND = {ofShard: 8, ofAll: 16} as const;
const UNREADABLE_IN_HAND = 4;

/** Consumes batches and sync requests and applies them until closed. */
export const startWorker = (options: WorkerOptions): Worker => {
  const {shards, cache, connection, publisher, names, partitions, log, now, newId, timers} = options;
  const stopping = new AbortController();
  const consumers: Consumer[] = [];
  const metrics = createWorkerMetrics(options.registry, now, {
    oldestAtMs: () => intake.oldestAtMs(),
    shards: () => intake.away(),
    leftOut: () => consumers.flatMap((consumer) => consumer.leftOut()).length,
  });
  const keepUnreadable = createKeepUnreadable({publisher, names, metrics, log});
  const held = createHeld(timers.after);
  const keepMessage = createKeepMessage({keepUnreadable, held, log, timers, stopping: stopping.signal});
  const putOff = {publisher, names, held, log, timers, stopping: stopping.signal};

  const declareAll: ConsumerOptions['declare'] = (channel) => assertBrokerTopology(channel, names, partitions);
  const consume = (
    queues: readonly string[],
    prefetch: number,
    onDelivery: (delivery: Delivery) => void,
    declare = declareAll,
  ): void => {
    consumers.push(createConsumer({connection, log, queues, declare, prefetch, onDelivery}));
  };

  const urgentKeys = new Set(range(partitions).map((partition) => names.batches.routingKey(partition, 'high')));
  const intake = createIntake({
    slotMap: shards.slotMap,
    concurrency: options.concurrency,
    store: createPgShardStore(shards, now),
    announce: createAnnounce(cache, now),
    publisher,
    names,
    held,
    keepUnreadable,
    keepMessage,
    putOff: createPutOff(putOff),
    keptDays: options.keptDays,
    newId,
    metrics,
    log,
    tracer: options.tracer,
    onAway: options.onAway,
    now,
    timers,
    stopping: stopping.signal,
    onLane(shardId) {
      consume(
        [names.parked.queue(shardId)],
        Math.min(PARKED_IN_HAND.ofShard, Math.ceil(PARKED_IN_HAND.ofAll / shards.ids().length)),
        (delivery) => suspects.take(delivery, {isUrgent: urgentKeys.has(delivery.routingKey), isParked: true}),
        (channel) => assertParkedQueue(channel, names, shardId),
      );
    },
  });
  const suspects = createSuspects({
    ...putOff,
    keepMessage,
    take: (delivery, arrival) => intake.take(delivery, arrival),
  });
  consume([names.suspects.queue], 1, (delivery) => suspects.takeAlone(delivery));
  const follow = (): void => {
    if (!stopping.signal.aborted) for (const shardId of shards.ids()) intake.open(shardId);
  };
  follow();
  for (const priority of QUEUE_PRIORITIES) {
    consume(
      range(partitions).map((partition) => names.batches.queue(partition, priority)),
      Math.ceil(BUNDLES_IN_HAND[priority] / partitions),
      (delivery) => suspects.take(delivery, {isUrgent: priority === 'high', isParked: false}),
    );
  }

  const requests = createRequestLanes({
    shards,
    cache,
    publisher,
    names,
    held,
    keepMessage,
    newId,
    metrics,
    log,
    timers,
    stopping: stopping.signal,
  });
  const urgentRequests = names.requests.queue('high');
  consume(
    QUEUE_PRIORITIES.map((priority) => names.requests.queue(priority)),
    REQUESTS_IN_HAND,
    (delivery) => requests.take(delivery, delivery.queue === urgentRequests),
  );

  const storeUnreadable = createStoreUnreadable({shards, log, timers, stopping: stopping.signal});
  const storing = new Set<Promise<void>>();
  consume([names.unreadable.queue], UNREADABLE_IN_HAND, (delivery) => {
    const work = storeUnreadable(delivery).finally(() => storing.delete(work));
    storing.add(work);
  });

  return {
    follow,
    async close() {
      stopping.abort();
      await Promise.all(consumers.map((consumer) => consumer.pause()));
      await Promise.all([intake.drain(), requests.drain(), ...storing]);
      await Promise.all(consumers.map((consumer) => consumer.close()));
    },
  };
};

const range = (count: number): readonly number[] => Array.from({length: count}, (_, index) => index);

/** A worker process: what worker.ts puts together, with simulated consumers. */
import {type Delivery} from '@pisync/core/broker/consumer';
import {type BrokerNames, QUEUE_PRIORITIES} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {type PositionHints} from '@pisync/core/cache/position-hint';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type ShardStore} from '@pisync/worker/apply/shard-store';
import {newsOf} from '@pisync/worker/intake/announce';
import {createHeld} from '@pisync/worker/intake/held';
import {createIntake} from '@pisync/worker/intake/intake';
import {createSuspects} from '@pisync/worker/intake/suspects';
import {type Keep} from '@pisync/worker/intake/unreadable';
import {createWorkerMetrics} from '@pisync/worker/metrics';
import {Registry} from 'prom-client';
import {type BrokerWorld} from '../broker.ts';
import {type Process} from './process.ts';

export interface WorkerOptions {
  readonly process: Process;
  readonly broker: BrokerWorld;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly partitions: number;
  readonly shardIds: readonly number[];
  readonly shardOf: (slot: number) => number;
  readonly store: ShardStore;
  readonly hints: PositionHints;
  readonly log: Logger;
  readonly newId: () => string;
  /** Of a delivery before the worker sees it. */
  readonly wrapDelivery: (delivery: Delivery) => Delivery;
  /** Called with what no shard can keep, and whose it is where that could be read. */
  readonly onUnreadable: (reason: string, deviceId?: unknown) => void;
}

/** Numbers that nobody reads; one set for all, because making them costs more than a run. */
const metrics = createWorkerMetrics(new Registry(), () => 0, {
  oldestAtMs: () => undefined,
  shards: () => [],
  leftOut: () => 0,
});
const KEPT_DAYS = 30;
const PREFETCH = {batches: 32, parked: 8} as const;

export const startSimulatedWorker = (options: WorkerOptions): void => {
  const {process, broker, names, partitions, shardIds, hints, wrapDelivery} = options;
  const isUrgent = ({routingKey}: Delivery): boolean => routingKey.endsWith('high');
  const keepMessage: Keep = (kept, error) => {
    options.onUnreadable(String(error));
    kept.ack();
    return Promise.resolve();
  };
  const held = createHeld(process.timers.after);
  const intake = createIntake({
    slotMap: {shardOf: options.shardOf, reload: () => process.pause(1)},
    concurrency: 2,
    store: options.store,
    announce: async (written) => {
      const news = newsOf(written, process.wallClock());
      for (const {deviceId, hint} of news?.hints ?? []) void hints.write(deviceId, hint);
      await process.pause(0);
    },
    publisher: options.publisher,
    names,
    held,
    keepUnreadable: (reason, {deviceId}) => {
      options.onUnreadable(reason, deviceId);
      return Promise.resolve();
    },
    keepMessage,
    putOff: () => Promise.reject(new Error('all are of one release')),
    keptDays: () => KEPT_DAYS,
    newId: options.newId,
    metrics,
    log: options.log,
    onAway: () => undefined,
    now: process.wallClock,
    timers: process.timers,
    stopping: new AbortController().signal,
    onLane(shardId) {
      broker.consume(process, [names.parked.queue(shardId)], PREFETCH.parked, (delivery) =>
        suspects.take(wrapDelivery(delivery), {isUrgent: isUrgent(delivery), isParked: true}),
      );
    },
  });
  const suspects = createSuspects({
    ...{publisher: options.publisher, names, held, log: options.log, timers: process.timers},
    stopping: new AbortController().signal,
    keepMessage,
    take: (delivery, arrival) => intake.take(delivery, arrival),
  });
  for (const shardId of shardIds) intake.open(shardId);
  const queues = QUEUE_PRIORITIES.flatMap((priority) =>
    Array.from({length: partitions}, (_, partition) => names.batches.queue(partition, priority)),
  );
  broker.consume(process, queues, PREFETCH.batches, (delivery) =>
    suspects.take(wrapDelivery(delivery), {isUrgent: isUrgent(delivery), isParked: false}),
  );
  broker.consume(process, [names.suspects.queue], 1, (delivery) => suspects.takeAlone(wrapDelivery(delivery)));
};

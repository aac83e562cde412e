import {type BrokerConnection} from '@pisync/core/broker/connection';
import {createConsumer, type Delivery} from '@pisync/core/broker/consumer';
import {type BrokerNames, QUEUE_PRIORITIES} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {type Cache} from '@pisync/core/cache/cache';
import {describeError} from '@pisync/core/errors/app-error';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Registry} from 'prom-client';
import {createApply} from './apply/apply.ts';
import {createAnnounce} from './intake/announce.ts';
import {openParcel, type Parcel} from './intake/parcel.ts';
import {createSettle} from './intake/settle.ts';
import {keepUnreadable} from './intake/unreadable.ts';
import {createWindows} from './intake/windows.ts';
import {createWorkerMetrics} from './metrics.ts';
import {createSettleRequests} from './requests/settle-requests.ts';

export interface WorkerOptions {
  readonly shards: Shards;
  readonly cache: Cache;
  /** For consuming alone: a broker that blocks a connection because of what it publishes also stops reading its acks. */
  readonly connection: BrokerConnection;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly partitions: number;
  /** Windows at work at once. */
  readonly concurrency: number;
  readonly recordDays: () => number;
  readonly log: Logger;
  readonly registry: Registry;
  readonly now: () => number;
  readonly newId: () => string;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Worker {
  /** Takes nothing more, finishes the commits at work, acks them and gives back the rest. */
  close(): Promise<void>;
}

const WINDOW = {maxRecords: 1000, maxWaitMs: 20} as const;
const REQUEST_WINDOW = {maxWeight: 200, maxWaitMs: 20, concurrency: 1} as const;
const REQUEST_PREFETCH = 200;
/**
 * Bundles in hand, over all partitions of a priority. A bundle holds some ten batches of twenty records under load, so this
 * fills the windows at work and the next ones; alone in the night it is memory, some 20 KB a bundle.
 */
const BUNDLES_IN_HAND = 64;
const KEEP_RETRY_MS = 1000;

/** Consumes batches and sync requests and applies them until closed. */
export const startWorker = (options: WorkerOptions): Worker => {
  const {shards, cache, connection, publisher, names, partitions, log, now, newId, sleep} = options;
  const stopping = new AbortController();
  const inHand = new Set<Parcel>();
  const metrics = createWorkerMetrics(options.registry, now, () =>
    inHand.size === 0 ? undefined : Math.min(...Array.from(inHand, ({oldestAtMs}) => oldestAtMs)),
  );
  const keep = (reason: string, detail: Readonly<Record<string, unknown>>, content: Buffer): Promise<void> =>
    keepUnreadable(shards, reason, detail, content);

  const apply = createApply({
    shards,
    log,
    now,
    newId,
    sleep,
    recordDays: options.recordDays,
    onPause: (shardId, reason) => {
      metrics.pauses.inc({shard: shardId === undefined ? 'unknown' : String(shardId)});
      log.warn({shard: shardId, reason}, 'applying waits');
    },
  });
  const announce = createAnnounce(cache, now);
  const settle = createSettle({
    apply,
    publisher,
    names,
    announce,
    keepUnreadable: keep,
    metrics,
    log,
    now,
    stopping: stopping.signal,
  });
  const windows = createWindows<Parcel>({
    weightOf: ({records}) => records,
    maxWeight: WINDOW.maxRecords,
    maxWaitMs: WINDOW.maxWaitMs,
    concurrency: options.concurrency,
    process: async (parcels) => {
      await settle(parcels);
      for (const parcel of parcels) inHand.delete(parcel);
    },
  });

  /** A message that is no bundle is kept where a person finds it; until that worked it stays with the broker. */
  const keepMessage = async (delivery: Delivery, error: unknown): Promise<void> => {
    const reason = describeError(error);
    log.error(
      {queue: delivery.queue, bytes: delivery.content.length, reason},
      'a message cannot be read and goes to quarantine',
    );
    for (;;) {
      try {
        await keep(reason, {queue: delivery.queue}, delivery.content);
        metrics.quarantined.inc({kind: 'message'});
        delivery.ack();
        return;
      } catch (failure) {
        log.warn({reason: describeError(failure)}, 'a message that cannot be read waits for shard 0');
        await sleep(KEEP_RETRY_MS, stopping.signal);
        if (stopping.signal.aborted) {
          delivery.requeue();
          return;
        }
      }
    }
  };

  const highQueues = new Set(range(partitions).map((partition) => names.batches.queue(partition, 'high')));
  const batches = createConsumer({
    connection,
    names,
    partitions,
    log,
    queues: [...highQueues, ...range(partitions).map((partition) => names.batches.queue(partition, 'normal'))],
    prefetch: Math.max(2, Math.ceil(BUNDLES_IN_HAND / partitions)),
    onDelivery: (delivery) => {
      let parcel: Parcel;
      try {
        parcel = openParcel(delivery);
      } catch (error) {
        void keepMessage(delivery, error);
        return;
      }
      inHand.add(parcel);
      windows.add(parcel, highQueues.has(delivery.queue));
    },
  });

  const requestWindows = createWindows<Delivery>({
    weightOf: () => 1,
    ...REQUEST_WINDOW,
    process: createSettleRequests({
      shards,
      cache,
      keepUnreadable: keep,
      newId,
      metrics,
      log,
      sleep,
      stopping: stopping.signal,
    }),
  });
  const highRequests = names.requests.queue('high');
  const requests = createConsumer({
    connection,
    names,
    partitions,
    log,
    queues: QUEUE_PRIORITIES.map((priority) => names.requests.queue(priority)),
    prefetch: REQUEST_PREFETCH,
    onDelivery: (delivery) => requestWindows.add(delivery, delivery.queue === highRequests),
  });

  return {
    async close() {
      stopping.abort();
      await Promise.all([batches.pause(), requests.pause()]);
      await Promise.all([windows.drain(), requestWindows.drain()]);
      await Promise.all([batches.close(), requests.close()]);
    },
  };
};

const range = (count: number): readonly number[] => Array.from({length: count}, (_, index) => index);

import {Counter, Histogram, type Registry} from 'prom-client';
import {
  BUNDLE_MEDIA_TYPE,
  type BundleItem,
  type BundleLimits,
  countOfBundle,
  DEFAULT_BUNDLE_LIMITS,
  encodeBundle,
} from './bundle.ts';
import {AppError} from '../errors/app-error.ts';
import {type Timers} from '../lifecycle/timers.ts';
import {type BrokerNames, partitionOf, type QueuePriority} from './names.ts';
import type {Publisher} from './publisher.ts';

/**
 * Group commit: batches that arrive while a bundle is being confirmed leave together in the next one. Nothing waits for a timer,
 * so an idle process adds no delay, and the busier it is the larger bundles become.
 */
export interface Bundler {
  /** Resolves when the bundle that carries the item is confirmed. @throws what {@link Publisher}.publish throws, and `broker-unavailable` when too much waits for its queue. */
  add(item: BundleItem, priority: QueuePriority): Promise<void>;
}

export interface BundlerOptions {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly partitions: number;
  readonly limits: BundlerLimits;
  readonly soon: Timers['soon'];
  readonly registry: Registry;
}

export interface BundlerLimits extends BundleLimits {
  /** Bundles of one partition and priority that may await their confirm at once. */
  readonly maxInFlight: number;
  /** Items of one partition and priority that may wait for their confirm. So a queue that does not confirm takes no more of the places that all have together. */
  readonly maxWaiting: number;
}

interface Waiting {
  readonly item: BundleItem;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly routingKey: string;
  waiting: Waiting[];
  inFlight: number;
  /** Items whose outcome is open. */
  held: number;
  /** Its last bundle failed. Until one is confirmed there is no more at stake than another one. */
  isDoubtful: boolean;
  scheduled: boolean;
}

/** A queue gets another leader within seconds, or nobody knows when. */
const RETRY_S = 15;

export const DEFAULT_BUNDLER_LIMITS: BundlerLimits = {...DEFAULT_BUNDLE_LIMITS, maxInFlight: 2, maxWaiting: 500};

export const createBundler = ({publisher, names, partitions, limits, soon, registry}: BundlerOptions): Bundler => {
  const lanes = new Map<string, Lane>();
  const sizes = new Histogram({
    name: 'pisync_bundle_items',
    help: 'Batches in one broker message',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
    registers: [registry],
  });
  const failures = new Counter({
    name: 'pisync_bundle_failures_total',
    help: 'Bundles that the broker did not confirm',
    registers: [registry],
  });

  const send = async (lane: Lane, group: readonly Waiting[]): Promise<void> => {
    lane.inFlight += 1;
    sizes.observe(group.length);
    try {
      await publisher.publish({
        exchange: names.batches.exchange,
        routingKey: lane.routingKey,
        content: encodeBundle(group.map(({item}) => item)),
        contentType: BUNDLE_MEDIA_TYPE,
      });
      lane.isDoubtful = false;
      lane.held -= group.length;
      for (const {resolve} of group) resolve();
    } catch (error) {
      failures.inc();
      // Those that wait would share the fate one confirm deadline later; a device is better off knowing now.
      const waiting = lane.waiting;
      lane.waiting = [];
      lane.isDoubtful = true;
      lane.held -= group.length + waiting.length;
      for (const {reject} of [...group, ...waiting]) reject(error);
    } finally {
      lane.inFlight -= 1;
      flush(lane);
    }
  };

  const flush = (lane: Lane): void => {
    while (lane.waiting.length > 0 && lane.inFlight < limits.maxInFlight) {
      void send(lane, takeBundle(lane, limits));
    }
  };

  const laneOf = (routingKey: string): Lane => {
    const known = lanes.get(routingKey);
    if (known !== undefined) return known;
    const lane: Lane = {routingKey, waiting: [], inFlight: 0, held: 0, isDoubtful: false, scheduled: false};
    lanes.set(routingKey, lane);
    return lane;
  };

  return {
    async add(item, priority) {
      const lane = laneOf(names.batches.routingKey(partitionOf(item.meta.slot, partitions), priority));
      if (lane.held >= (lane.isDoubtful ? limits.maxItems : limits.maxWaiting))
        throw new AppError('broker-unavailable', 'some batches cannot be stored at the moment; come back later', {
          retryAfterSeconds: RETRY_S,
          cause: `${lane.held} batches wait for ${lane.routingKey}`,
        });
      lane.held += 1;
      await new Promise<void>((resolve, reject) => {
        lane.waiting.push({item, resolve, reject});
        // After the requests that are ready in this turn of the event loop, so that they share a bundle.
        if (lane.scheduled) return;
        lane.scheduled = true;
        soon(() => {
          lane.scheduled = false;
          flush(lane);
        });
      });
    },
  };
};

const takeBundle = (lane: Lane, limits: BundlerLimits): readonly Waiting[] => {
  const count = countOfBundle(lane.waiting, limits);
  const group = lane.waiting.slice(0, count);
  lane.waiting = lane.waiting.slice(count);
  return group;
};

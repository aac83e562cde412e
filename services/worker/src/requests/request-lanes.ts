import {type Delivery} from '@pisync/core/broker/consumer';
import {decodeSyncRequest, type SyncRequest} from '@pisync/core/broker/sync-request';
import {type Cache} from '@pisync/core/cache/cache';
import {markChanged} from '@pisync/core/cache/device-entries';
import {setPositionHint} from '@pisync/core/cache/position-hint';
import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {createWindows, type Windows} from '../intake/windows.ts';
import {type WorkerMetrics} from '../metrics.ts';
import {storeRequests} from './store-requests.ts';

export interface RequestLanesOptions {
  readonly shards: Shards;
  readonly cache: Cache;
  /** For a message that is no sync request. Never rejects. */
  readonly keepMessage: (delivery: Delivery, error: unknown) => Promise<void>;
  readonly newId: () => string;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly timers: Pick<Timers, 'after' | 'sleep'>;
  readonly stopping: AbortSignal;
}

/** Stores sync requests with the shards of their devices, each shard at its own pace, and acks them. */
export interface RequestLanes {
  take(delivery: Delivery, isUrgent: boolean): void;
  /** Resolves when nothing is at work any more; for after `stopping`. */
  drain(): Promise<void>;
}

const WINDOW = {maxWeight: 200, maxWaitMs: 20, concurrency: 1} as const;
const PAUSE_MS = {first: 50, most: 5_000} as const;

interface Open {
  readonly delivery: Delivery;
  readonly request: SyncRequest;
  readonly isUrgent: boolean;
}

export const createRequestLanes = (options: RequestLanesOptions): RequestLanes => {
  const {shards, cache, metrics, log, timers, stopping} = options;
  const lanes = new Map<number, Windows<Open>>();

  const shardOf = ({request}: Open): number | undefined => {
    try {
      return shards.shardOfDevice(request.deviceId);
    } catch {
      // The slot map was not read yet.
      return undefined;
    }
  };

  /** @returns those that have to be tried again. */
  const storeOnce = async (shardId: number, pending: readonly Open[]): Promise<readonly Open[]> => {
    const requests = pending.map(({request}) => request);
    const {stored, unknown, moved} = await storeRequests(shards, shardId, requests, options.newId);
    metrics.requests.inc({outcome: 'stored'}, stored.length);
    metrics.requests.inc({outcome: 'unknown'}, unknown.length);
    for (const {requestId, deviceId} of unknown)
      log.warn({requestId, device: deviceId}, 'a sync request names no enrolled device');
    await tellDevices(cache, stored);
    const again = new Set(moved);
    for (const {delivery, request} of pending) if (!again.has(request)) delivery.ack();
    return pending.filter(({request}) => again.has(request));
  };

  const settle = async (shardId: number, all: readonly Open[]): Promise<void> => {
    let pending = all;
    for (let pauseMs: number = PAUSE_MS.first; !stopping.aborted; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most)) {
      try {
        pending = await storeOnce(shardId, pending);
        if (pending.length === 0) return;
        await shards.slotMap.reload();
      } catch (error) {
        // The first failure of a window tells; it may last.
        const level = pauseMs === PAUSE_MS.first ? 'warn' : 'debug';
        log[level]({shard: shardId, requests: pending.length, reason: describeError(error)}, 'sync requests wait');
      }
      await timers.sleep(pauseMs, stopping);
      const {here = [], elsewhere = []} = Object.groupBy(pending, (open) =>
        shardOf(open) === shardId ? 'here' : 'elsewhere',
      );
      elsewhere.forEach(dispatch);
      pending = here.filter(({delivery}) => !delivery.isLost());
      if (pending.length === 0) return;
    }
    for (const {delivery} of pending) delivery.requeue();
  };

  const laneOf = (shardId: number): Windows<Open> => {
    const known = lanes.get(shardId);
    if (known !== undefined) return known;
    const lane = createWindows<Open>({
      ...WINDOW,
      weightOf: () => 1,
      after: timers.after,
      process: (opens) => settle(shardId, opens),
    });
    lanes.set(shardId, lane);
    return lane;
  };

  const dispatch = (open: Open): void => {
    const shardId = shardOf(open);
    if (stopping.aborted) open.delivery.requeue();
    else if (shardId === undefined) void timers.sleep(PAUSE_MS.most, stopping).then(() => dispatch(open));
    else laneOf(shardId).add(open, open.isUrgent);
  };

  return {
    take(delivery, isUrgent) {
      let request: SyncRequest;
      try {
        request = decodeSyncRequest(delivery.content);
      } catch (error) {
        metrics.requests.inc({outcome: 'invalid'});
        void options.keepMessage(delivery, error);
        return;
      }
      dispatch({delivery, request, isUrgent});
    },
    async drain() {
      await Promise.all(Array.from(lanes.values(), (lane) => lane.drain()));
    },
  };
};

/** A device asks for its commands when its position says that there are some. */
const tellDevices = async (cache: Cache, stored: readonly SyncRequest[]): Promise<void> => {
  if (stored.length === 0) return;
  await cache.use((redis) => {
    const pipeline = redis.pipeline();
    for (const {deviceId} of stored) {
      setPositionHint(pipeline, deviceId, {commands: true});
      markChanged(pipeline, deviceId, ['status']);
    }
    return pipeline.exec();
  });
};

import {type Delivery} from '@pisync/core/broker/consumer';
import {decodeSyncRequest, type SyncRequest} from '@pisync/core/broker/sync-request';
import {type Cache} from '@pisync/core/cache/cache';
import {CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {describeError} from '@pisync/core/errors/app-error';
import {isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type WorkerMetrics} from '../metrics.ts';
import {storeRequests} from './store-requests.ts';

export interface SettleRequestsOptions {
  readonly shards: Shards;
  readonly cache: Cache;
  readonly keepUnreadable: (
    reason: string,
    detail: Readonly<Record<string, unknown>>,
    content: Buffer,
  ) => Promise<void>;
  readonly newId: () => string;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly stopping: AbortSignal;
}

const PAUSE_MS = {first: 50, most: 5_000} as const;

interface Open {
  readonly delivery: Delivery;
  readonly request: SyncRequest;
}

/** Stores a window of sync requests and acks them; waits while a shard is away. Never rejects. */
export const createSettleRequests = (
  options: SettleRequestsOptions,
): ((deliveries: readonly Delivery[]) => Promise<void>) => {
  const {shards, cache, metrics, log, stopping} = options;

  const open = async (delivery: Delivery): Promise<Open | undefined> => {
    try {
      return {delivery, request: decodeSyncRequest(delivery.content)};
    } catch (error) {
      metrics.requests.inc({outcome: 'invalid'});
      metrics.quarantined.inc({kind: 'message'});
      await options.keepUnreadable(describeError(error), {queue: delivery.queue}, delivery.content);
      delivery.ack();
      return undefined;
    }
  };

  /** The requests that have to be tried again. */
  const storeOnce = async (pending: readonly Open[]): Promise<readonly Open[]> => {
    const {stored, unknown, moved} = await storeRequests(
      shards,
      pending.map(({request}) => request),
      options.newId,
    );
    metrics.requests.inc({outcome: 'stored'}, stored.length);
    metrics.requests.inc({outcome: 'unknown'}, unknown.length);
    for (const {requestId, deviceId} of unknown)
      log.warn({requestId, device: deviceId}, 'a sync request names no enrolled device');
    await tellDevices(cache, stored);
    const again = new Set(moved);
    for (const {delivery, request} of pending) if (!again.has(request)) delivery.ack();
    return pending.filter(({request}) => again.has(request));
  };

  const settle = async (deliveries: readonly Delivery[]): Promise<void> => {
    let pending: readonly Open[] = (await Promise.all(deliveries.map(open))).filter((one) => one !== undefined);
    let pauseMs: number = PAUSE_MS.first;
    while (pending.length > 0 && !stopping.aborted) {
      try {
        pending = await storeOnce(pending);
        if (pending.length === 0) return;
      } catch (error) {
        const systemic = isSystemicDatabaseFault(error);
        log[systemic ? 'warn' : 'error']({reason: describeError(error)}, 'sync requests wait');
      }
      await options.sleep(pauseMs, stopping);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most);
      await shards.slotMap.reload().catch(() => undefined);
    }
    for (const {delivery} of pending) delivery.requeue();
  };

  return async (deliveries) => {
    try {
      await settle(deliveries);
    } catch (error) {
      log.error({reason: describeError(error)}, 'sync requests are given back to the broker');
      // Those that were acked above are no longer there to be given back.
      for (const delivery of deliveries) delivery.requeue();
    }
  };
};

/** A device asks for its commands when its position says that there are some. */
const tellDevices = async (cache: Cache, stored: readonly SyncRequest[]): Promise<void> => {
  if (stored.length === 0) return;
  await cache.use((redis) => {
    const pipeline = redis.pipeline();
    for (const {deviceId} of stored) {
      const key = cacheKey.position(deviceId);
      pipeline.hset(key, {commands: '1'}).expire(key, CACHE_TTL_SECONDS.status);
      pipeline.del(cacheKey.status(deviceId));
    }
    return pipeline.exec();
  });
};

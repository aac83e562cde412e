import {type Delivery} from '@pisync/core/broker/consumer';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {decodeSyncRequest, publishLater, type SyncRequest} from '@pisync/core/broker/sync-request';
import {type Cache} from '@pisync/core/cache/cache';
import {markChanged} from '@pisync/core/cache/device-entries';
import {setPositionHint} from '@pisync/core/cache/position-hint';
import {AppError, describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Held} from '../intake/held.ts';
import {createPresence, type Presence} from '../intake/presence.ts';
import {type Keep} from '../intake/unreadable.ts';
import {createWindows, type Windows} from '../intake/windows.ts';
import {type WorkerMetrics} from '../metrics.ts';
import {storeRequests} from './store-requests.ts';

export interface RequestLanesOptions {
  readonly shards: Shards;
  readonly cache: Cache;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly held: Held;
  /** For a message that is no sync request, or one for nobody. Never rejects. */
  readonly keepMessage: Keep;
  readonly newId: () => string;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly timers: Pick<Timers, 'now' | 'after' | 'sleep' | 'deadline'>;
  readonly stopping: AbortSignal;
}

/**
 * Stores sync requests with the shards of their devices, each shard at its own pace, and acks them. Those of a shard that is away, or of a slot without an owner, wait
 * on the broker, because only so many may be in hand.
 */
export interface RequestLanes {
  take(delivery: Delivery, isUrgent: boolean): void;
  /** Resolves when nothing is at work any more; for after `stopping`. */
  drain(): Promise<void>;
}

const WINDOW = {maxWeight: 200, maxWaitMs: 20, concurrency: 1} as const;
const PAUSE_MS = {first: 50, most: 1_000} as const;
/** Before the slot map was read. */
const MAP_PAUSE_MS = 5_000;
/** Of a slot without an owner: some four seconds. Then they wait on the broker. */
const MAX_RETURNS = 7;
const TIMEOUT_MS = 2_000;
const PATIENCE = {patienceMs: 1_000, forgetAfterMs: 30_000} as const;
/** So often a shard that is away is tried with what has come for it. */
const TRY_EVERY_MS = 2_000;

/** Whether a shard takes requests. */
interface Shard {
  readonly presence: Presence;
  /** Also notes that it is tried. */
  mayBeTried(): boolean;
}

interface Open {
  readonly delivery: Delivery;
  readonly request: SyncRequest;
  readonly isUrgent: boolean;
  /** How often its shard said that the slot is not its own. */
  readonly returns: number;
}

export const createRequestLanes = (options: RequestLanesOptions): RequestLanes => {
  const {shards, cache, publisher, names, held, metrics, log, timers, stopping} = options;
  const lanes = new Map<number, Windows<Open>>();
  /** They wait on the broker, which may have confirmed that late. */
  const putOffs = new WeakSet<Delivery>();
  const background = new Set<Promise<void>>();

  const run = (work: Promise<void>): void => {
    const running = work.finally(() => background.delete(running));
    background.add(running);
  };

  const reloadMap = (): Promise<void> =>
    shards.slotMap
      .reload()
      .catch((error: unknown) => log.debug({reason: describeError(error)}, 'the slot map was not read again'));

  /** Whether it is still for this worker to do. */
  const isInHand = ({delivery}: Open): boolean => !delivery.isLost() && !putOffs.has(delivery);

  const shardOf = ({request}: Open): number | undefined => {
    try {
      return shards.shardOfDevice(request.deviceId);
    } catch {
      // The slot map was not read yet.
      return undefined;
    }
  };

  /** Those whose slot is not the shard's go their own way. @returns those that have to be tried again. */
  const storeOnce = async (shardId: number, pending: readonly Open[]): Promise<readonly Open[]> => {
    const requests = pending.map(({request}) => request);
    const deadline = timers.deadline(TIMEOUT_MS);
    const {stored, unknown, moved, busy} = await storeRequests(shards, shardId, requests, options.newId, deadline);
    metrics.requests.inc({outcome: 'stored'}, stored.length);
    metrics.requests.inc({outcome: 'unknown'}, unknown.length);
    await tellDevices(cache, stored);
    const became = new Map([
      ...stored.map((request) => [request, 'stored'] as const),
      ...unknown.map((request) => [request, 'unknown'] as const),
      ...busy.map((request) => [request, 'busy'] as const),
    ]);
    for (const {delivery, request} of pending) {
      if (became.get(request) === 'stored') delivery.ack();
      if (became.get(request) === 'unknown') {
        const {requestId, deviceId} = request;
        void options.keepMessage(
          delivery,
          new AppError('not-found', `sync request ${requestId} is for device ${deviceId}, which is not enrolled`),
        );
      }
    }
    const strangers = pending.filter(({request}) => moved.includes(request));
    if (strangers.length > 0) run(goAgain(strangers));
    return putOff(pending.filter(({request}) => became.get(request) === 'busy'));
  };

  /** Looks for the owner after a pause that grows with every time, while the others of the lane go on. */
  const goAgain = async (opens: readonly Open[]): Promise<void> => {
    const returns = Math.max(...opens.map((open) => open.returns));
    const rest = returns < MAX_RETURNS ? opens : await putOff(opens);
    if (rest.length === 0) return;
    await timers.sleep(Math.min(PAUSE_MS.first * 2 ** returns, PAUSE_MS.most), stopping);
    if (!stopping.aborted) await reloadMap();
    for (const open of rest.filter(isInHand)) dispatch({...open, returns: returns + 1});
  };

  /** @returns those that the broker does not take now, or has not confirmed yet */
  const putOff = async (opens: readonly Open[]): Promise<readonly Open[]> => {
    const settle = (open: Open) =>
      held.settle([open.delivery], async () => {
        await publishLater(publisher, names, open.delivery);
        putOffs.add(open.delivery);
        open.delivery.ack();
      });
    await Promise.all(
      opens.map((open) =>
        settle(open).catch((error: unknown) =>
          log.debug({reason: describeError(error)}, 'a sync request stays in hand'),
        ),
      ),
    );
    return opens.filter(isInHand);
  };

  const settle = async (shardId: number, all: readonly Open[], shard: Shard): Promise<void> => {
    let pending = all;
    for (let pauseMs: number = PAUSE_MS.first; !stopping.aborted; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most)) {
      if (shard.mayBeTried()) {
        const beganAtMs = timers.now();
        try {
          pending = await storeOnce(shardId, pending);
          shard.presence.answered(beganAtMs);
        } catch (error) {
          shard.presence.failed(beganAtMs, describeError(error));
        }
      }
      pending = pending.filter(isInHand);
      if (shard.presence.isAway()) pending = await putOff(pending);
      if (pending.length === 0) return;
      await reloadMap();
      await timers.sleep(pauseMs, stopping);
      const {here = [], elsewhere = []} = Object.groupBy(pending, (open) =>
        shardOf(open) === shardId ? 'here' : 'elsewhere',
      );
      elsewhere.forEach(dispatch);
      pending = here;
      if (pending.length === 0) return;
    }
    for (const {delivery} of pending) delivery.requeue();
  };

  const shardOfLane = (shardId: number): Shard => {
    const presence = createPresence({
      ...PATIENCE,
      now: timers.now,
      onChange: (change, reason) => log.warn({shard: shardId, change, reason}, 'a shard, as sync requests see it'),
    });
    let triedAtMs = -Infinity;
    return {
      presence,
      mayBeTried() {
        if (presence.isAway() && timers.now() - triedAtMs < TRY_EVERY_MS) return false;
        triedAtMs = timers.now();
        return true;
      },
    };
  };

  const laneOf = (shardId: number): Windows<Open> => {
    const known = lanes.get(shardId);
    if (known !== undefined) return known;
    const shard = shardOfLane(shardId);
    const lane = createWindows<Open>({
      ...WINDOW,
      weightOf: () => 1,
      after: timers.after,
      process: (opens) => settle(shardId, opens, shard),
    });
    lanes.set(shardId, lane);
    return lane;
  };

  const dispatch = (open: Open): void => {
    const shardId = shardOf(open);
    if (stopping.aborted) open.delivery.requeue();
    else if (shardId === undefined) run(timers.sleep(MAP_PAUSE_MS, stopping).then(() => dispatch(open)));
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
      dispatch({delivery, request, isUrgent, returns: 0});
    },
    async drain() {
      await Promise.all(Array.from(lanes.values(), (lane) => lane.drain()));
      // Nothing is dispatched any more: it is given back.
      await Promise.all(background);
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

import {type Bundler, createBundler, DEFAULT_BUNDLER_LIMITS} from '@pisync/core/broker/bundler';
import type {BrokerNames} from '@pisync/core/broker/names';
import type {Publisher} from '@pisync/core/broker/publisher';
import type {Cache} from '@pisync/core/cache/cache';
import {createPositionHints} from '@pisync/core/cache/position-hint';
import type {ConfigOf} from '@pisync/core/config/config';
import {type Credential, type DeviceContext, findDeviceContexts} from '@pisync/core/devices/credentials';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {describeError} from '@pisync/core/errors/app-error';
import {type HttpServer, startHttpServer} from '@pisync/core/http/http-server';
import {CONNECTIONS} from '@pisync/contract/connections';
import {createDoor} from '@pisync/core/limits/door';
import {createGathers} from '@pisync/core/limits/gather';
import type {Lifecycle} from '@pisync/core/lifecycle/lifecycle';
import type {Timers} from '@pisync/core/lifecycle/timers';
import type {SecretToken} from '@pisync/core/secrets/secret-token';
import type {Shards} from '@pisync/core/shards/shards';
import type {Logger} from '@pisync/core/telemetry/logger';
import type {Tracer} from '@pisync/core/telemetry/tracing';
import type {Topology} from '@pisync/contract/topology';
import type {Registry} from 'prom-client';
import {createApp, PATHS} from './app.ts';
import type {deviceApiConfig} from './config.ts';
import {createCredentialCache} from './credentials/credential-cache.ts';
import {createCredentialStore} from './credentials/credential-store.ts';
import {createDeviceShards} from './device-shards.ts';
import {enrolRoute} from './enrol/enrol-route.ts';
import {createLastSeenByShard} from './heartbeat/last-seen.ts';
import {httpMetrics} from './http-metrics.ts';
import {createAdmission} from './limits/admission.ts';
import {createByteQuota} from './limits/byte-quota.ts';
import {createDeviceQuota} from './limits/device-quota.ts';
import {receiptsRoute} from './receipts/receipts-route.ts';
import {createOptionalRead} from './optional-reads.ts';
import {createLineQuota} from './limits/line-quota.ts';
import {createNewDeviceQuota, mostOfToken} from './limits/new-device-quota.ts';
import {createReEnrolmentQuota} from './limits/re-enrolment-quota.ts';
import {createUsedUpQuota} from './limits/used-up-quota.ts';
import {createFromShard} from './shard-fault.ts';
import {createBodyReader} from './sync/body-reader.ts';
import {createPositionSource} from './sync/position.ts';
import {syncRoute} from './sync/sync-route.ts';
import {createSyncService} from './sync/sync-service.ts';
import {warmUp} from './warm-up.ts';

/** What stands outside of this process or is not repeatable. */
export interface DeviceApiOptions {
  readonly config: Pick<
    ConfigOf<typeof deviceApiConfig>,
    | 'httpPort'
    | 'maxConnections'
    | 'maxOpenBatches'
    | 'maxOpenBytes'
    | 'maxLagMs'
    | 'deviceBurst'
    | 'deviceRate'
    | 'deviceBurstBytes'
    | 'deviceBytesADay'
  >;
  readonly topology: () => Topology;
  readonly shards: Shards;
  /** The enrolment token of the Secret. */
  readonly secretToken: SecretToken;
  readonly cache: Cache;
  readonly publisher: Publisher;
  /** Address of sync/body-thread.ts, or of what it was bundled to. */
  readonly bodyThread: URL;
  readonly names: BrokerNames;
  readonly partitions: number;
  readonly log: Logger;
  readonly registry: Registry;
  readonly tracer: Tracer | undefined;
  readonly life: Lifecycle;
  /** Event loop lag that lasts. */
  readonly lagMs: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly timers: Timers;
  readonly random: () => number;
  readonly createRequestId: () => string;
}

/** At most one write of last-seen times a second, process and shard. */
const LAST_SEEN_INTERVAL_MS = 1000;
/** A shard that takes longer to answer is away; devices of the others are served without it. */
const WARM_UP_MS = 3000;

/** A shard that is away fails each call of its devices. */
const FAULT_LINES_A_MINUTE = 10;

/** Of the calls under way, those that may wait for one queue. With few partitions it is an even part, because there are few others. */
const shareOfQueue = (partitions: number): number => Math.max(1 / 4, 1 / partitions);

/** Puts the parts together and serves; what it opens is closed with `life`. */
export const startDeviceApi = async (options: DeviceApiOptions): Promise<HttpServer> => {
  const {config, topology, shards, secretToken, cache, publisher, names, partitions} = options;
  const {log, registry, tracer, life, lagMs, wallClock, timers, random} = options;
  const {now} = timers;
  const faultLine = createLineQuota(FAULT_LINES_A_MINUTE, now);
  const onShardFault = (error: unknown): void => {
    const leftOut = faultLine();
    if (leftOut !== undefined) log.warn({reason: describeError(error), leftOut}, 'a shard did not answer');
  };

  const deviceShards = createDeviceShards(shards);
  const hints = createPositionHints(cache);
  const bundler: Bundler = createBundler({
    publisher,
    names,
    partitions,
    limits: {...DEFAULT_BUNDLER_LIMITS, maxWaiting: Math.ceil(config.maxOpenBatches * shareOfQueue(partitions))},
    soon: timers.soon,
    registry,
  });
  const lastSeen = await life.own(
    'last-seen writer',
    () =>
      createLastSeenByShard({
        shardOf: (slot) => shards.slotMap.shardOf(slot),
        shards: () => shards.ids().length,
        write: (sightings) => deviceShards.touchLastSeen(sightings),
        intervalMs: LAST_SEEN_INTERVAL_MS,
        after: timers.after,
        onFault: onShardFault,
      }),
    (opened) => opened.stop(),
  );
  const fromShard = createFromShard(timers, onShardFault);
  const optionalRead = createOptionalRead({
    shardOf: (slot) => shards.slotMap.shardOf(slot),
    loadOf: (shardId) => shards.load(shardId, 'ingest'),
    timers,
  });
  const strangers = createGathers((shardId, deviceIds) => findDeviceContexts(shards, shardId, deviceIds));
  /** What comes with the credential is kept as the position, which the same call asks for next. */
  const kept = (context: DeviceContext | undefined): Credential | undefined => {
    // Not waited for: what is read of the cache later comes after it.
    if (context !== undefined) void hints.write(context.credential.deviceId, context);
    return context?.credential;
  };
  const credentials = createCredentialStore({
    cache: createCredentialCache(cache),
    load: async (deviceId) => kept(await fromShard(strangers(shards.shardOfDevice(deviceId))(deviceId))),
    loadQuickly: async (deviceId) =>
      kept(await optionalRead(shards.slotOf(deviceId), () => deviceShards.context(deviceId))),
    now,
  });
  const quota = createDeviceQuota({burst: config.deviceBurst, perSecond: config.deviceRate, now});
  const bytes = createByteQuota({
    cache,
    burstBytes: config.deviceBurstBytes,
    bytesADay: config.deviceBytesADay,
    now,
  });
  const service = createSyncService({
    credentials,
    positions: createPositionSource({hints, shards: deviceShards, optionalRead, onShardFault}),
    publish: (item, priority) => bundler.add(item, priority),
    lastSeen,
    shards: deviceShards,
    optionalRead,
    chargeBytes: (deviceId, count) => bytes.charge(deviceId, count),
    syncWindow: () => topology().capacity.syncWindow,
    wallClock,
    onShardFault,
  });
  const bodies = await life.own(
    'body reader',
    () => createBodyReader(options.bodyThread),
    (opened) => opened.close(),
  );
  const most = (): number => mostOfToken(topology().capacity.devices);
  const admission = createAdmission({brokerTrouble: () => publisher.trouble(), lagMs, limits: config, registry});
  const app = createApp({
    log,
    metrics: httpMetrics(registry, PATHS, now),
    sync: syncRoute({
      credentials,
      quota,
      bytes,
      bodies,
      service,
      admission,
      region: () => topology().region,
    }),
    enrol: enrolRoute({
      shards,
      keys: createDeviceKeys(shards),
      credentials,
      hints,
      secretToken,
      region: () => topology().region,
      fromShard,
      controlDoor: createDoor(CONNECTIONS.deviceApi.ingest),
      newDevices: createNewDeviceQuota({cache, most, now}),
      usedUp: createUsedUpQuota({cache, now}),
      reEnrolments: createReEnrolmentQuota({cache, mostOfToken: most, now}),
      admission,
      log,
      registry,
      now,
    }),
    receipts: receiptsRoute({credentials, quota, admission, shards, fromShard, region: () => topology().region}),
    region: () => topology().region,
    createRequestId: options.createRequestId,
    random,
    wallClock,
  });
  const ask = async (shardId: number): Promise<unknown> => shards.pool(shardId, 'ingest').query('select 1');
  await warmUp({ask, shardIds: shards.ids(), patienceMs: WARM_UP_MS, onFault: onShardFault});
  return life.own(
    'HTTP server',
    () =>
      startHttpServer({
        app,
        port: config.httpPort,
        maxConnections: config.maxConnections,
        draining: life.stopping,
        tracer,
      }),
    (opened) => opened.stop(),
  );
};

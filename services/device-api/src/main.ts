import {CONNECTIONS} from '@pisync/contract/connections';
import {randomUUID} from 'node:crypto';
import {performance} from 'node:perf_hooks';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {brokerNames} from '@pisync/core/broker/names';
import type {ConfigOf} from '@pisync/core/config/config';
import {AppError} from '@pisync/core/errors/app-error';
import {runService, type Service} from '@pisync/core/lifecycle/run-service';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createSecretToken} from '@pisync/core/secrets/secret-token';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {connectBroker, connectCache, connectShards, followTopology, openPublisher} from '@pisync/core/region/connect';
import {deviceApiConfig} from './config.ts';
import {startDeviceApi} from './service.ts';

/** The bundler writes a program beside this one (scripts/images/bundle.ts). */
const BODY_THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './sync/body-thread.ts' : './device-api-body-thread.mjs',
  import.meta.url,
);

/** Serves devices until the process is told to stop. Does not throw: what fails ends the process with a code. */
export const main = (argv: readonly string[]): Promise<void> =>
  runService({
    definition: deviceApiConfig,
    argv,
    process,
    now: () => performance.now(),
    drainMs: (config) => config.drainMs,
    body: serve,
  });

const serve = async (service: Service<ConfigOf<typeof deviceApiConfig>>): Promise<'serving'> => {
  const {config, log, registry, tracer, lag, readiness, life} = service;
  const now = (): number => performance.now();
  const topology = await followTopology(service);
  const shards = await connectShards(service, topology, CONNECTIONS.deviceApi);
  const cache = await connectCache(service, topology, now);
  const connection = await connectBroker(service, topology, {purpose: 'batches', random: Math.random});
  const names = brokerNames(config.brokerPrefix);
  // Partitions are declared once: their number is part of the queues' names and never shrinks while a process runs.
  const {partitions} = topology.current().broker;
  const publisher = await openPublisher(service, {
    connection,
    declare: (channel) => assertBrokerTopology(channel, names, partitions),
    confirmTimeoutMs: config.confirmTimeoutMs,
  });
  await startDeviceApi({
    config,
    topology: topology.current,
    shards,
    secretToken: createSecretToken({
      secrets: openSecrets(config.secretsDir),
      key: 'enrolmentToken',
      monotonic: now,
    }),
    cache,
    publisher,
    bodyThread: BODY_THREAD,
    names,
    partitions,
    log,
    registry,
    tracer,
    life,
    lagMs: lag.sustainedMs,
    wallClock: Date.now,
    timers: systemTimers,
    random: Math.random,
    createRequestId: randomUUID,
  });
  // A full broker is not a reason to be taken out: devices would get the proxy's 503, without a time to come back.
  let wasUp = false;
  readiness.add('broker', () => {
    const trouble = publisher.trouble();
    wasUp ||= trouble === undefined;
    if (!wasUp) throw new AppError('broker-unavailable', trouble ?? 'no connection yet');
  });
  readiness.add('slot map', () => shards.slotMap.check());
  return 'serving';
};

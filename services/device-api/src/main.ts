import {randomUUID} from 'node:crypto';
import {SECRET_KEYS} from '@pisync/contract/files';
import {openBrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames} from '@pisync/core/broker/names';
import {openCache} from '@pisync/core/cache/cache';
import {AppError} from '@pisync/core/errors/app-error';
import {runService} from '@pisync/core/lifecycle/run-service';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {openShards} from '@pisync/core/shards/shards';
import {openTopologyFile} from '@pisync/core/topology/topology-file';
import {config as definition} from './config.ts';
import {startDeviceApi} from './service.ts';

/** Connections per shard: credentials and positions that no cache knows, enrolments, last-seen times. */
const POOL_SIZES = {ingest: 8, dashboard: 1, job: 1} as const;

/** Serves devices until the process is told to stop. Does not throw: what fails ends the process with a code. */
export async function main(argv: readonly string[]): Promise<void> {
  await runService({
    definition,
    argv,
    process,
    now: () => performance.now(),
    drainMs: (config) => config.drainMs,
    body: async ({config, log, registry, lag, readiness, life}) => {
      const topology = await life.own(
        'topology',
        () =>
          openTopologyFile({
            path: config.topologyFile,
            onProblem: (error) =>
              log.error({reason: error.message}, 'the topology is unusable; the last good one stays'),
          }),
        (opened) => opened.stop(),
      );
      const secrets = openSecrets(config.secretsDir);
      const shards = await life.own(
        'shards',
        () =>
          openShards({
            topology,
            secretsDir: config.secretsDir,
            applicationName: config.podName,
            log,
            metrics: registry,
            sizes: POOL_SIZES,
          }),
        (opened) => opened.close(),
      );
      const cache = await life.own(
        'cache',
        () =>
          openCache({
            endpoint: topology.current().redis,
            password: () => secrets.read('redis', SECRET_KEYS.redis.password),
            log,
            registry,
            now: () => performance.now(),
          }),
        (opened) => opened.close(),
      );
      const connection = await life.own(
        'broker connection',
        () =>
          openBrokerConnection({
            address: async () => {
              const {host, port, vhost} = topology.current().broker;
              const [username, password] = await Promise.all([
                secrets.read('rabbitmq', SECRET_KEYS.rabbitmq.username),
                secrets.read('rabbitmq', SECRET_KEYS.rabbitmq.password),
              ]);
              return {host, port, vhost, username, password};
            },
            name: config.podName,
            log,
            random: Math.random,
          }),
        (opened) => opened.close(),
      );
      const {publisher} = await startDeviceApi({
        config,
        topology: topology.current,
        shards,
        cache,
        connection,
        names: brokerNames(),
        log,
        registry,
        life,
        lagMs: lag.currentMs,
        wallClock: Date.now,
        now: () => performance.now(),
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
      readiness.add('slot map', () => {
        if (shards.slotMap.version() < 0) throw new AppError('shard-unavailable', 'the slot map was not read yet');
      });
      return 'serving';
    },
  });
}

import {randomUUID} from 'node:crypto';
import {performance} from 'node:perf_hooks';
import {SECRET_KEYS} from '@pisync/contract/files';
import {openBrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames} from '@pisync/core/broker/names';
import {createPublisher} from '@pisync/core/broker/publisher';
import {openCache} from '@pisync/core/cache/cache';
import {runService} from '@pisync/core/lifecycle/run-service';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {createSchemaCheck} from '@pisync/core/shards/schema-check';
import {openShards} from '@pisync/core/shards/shards';
import {openTopologyFile} from '@pisync/core/topology/topology-file';
import {workerConfig} from './config.ts';
import {startWorker} from './worker.ts';

/** A retry that is not confirmed by then stays where it is and is tried again. */
const CONFIRM_TIMEOUT_MS = 5_000;

/** The worker: consumes until it is told to stop. */
export async function main(argv: readonly string[]): Promise<void> {
  await runService({
    definition: workerConfig,
    argv,
    process,
    now: () => performance.now(),
    body: async ({config, log, registry, life, readiness}) => {
      const secrets = openSecrets(config.secretsDir);
      const topology = await life.own(
        'topology',
        () =>
          openTopologyFile({
            path: config.topologyFile,
            onProblem: (error) => log.error({reason: error.message}, 'the topology cannot be read; the last one stays'),
          }),
        (file) => file.stop(),
      );
      const shards = await life.own(
        'shards',
        () =>
          openShards({
            topology,
            secretsDir: config.secretsDir,
            applicationName: config.podName,
            log,
            metrics: registry,
            // One more for sync requests, one for the slot map.
            sizes: {ingest: config.concurrency + 2, dashboard: 1, job: 2},
          }),
        (open) => open.close(),
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
        (open) => open.close(),
      );
      const connect = (purpose: string) =>
        life.own(
          `broker connection for ${purpose}`,
          () =>
            openBrokerConnection({
              address: async () => ({
                ...topology.current().broker,
                username: await secrets.read('rabbitmq', SECRET_KEYS.rabbitmq.username),
                password: await secrets.read('rabbitmq', SECRET_KEYS.rabbitmq.password),
              }),
              name: `${config.podName}/${purpose}`,
              log,
              random: Math.random,
            }),
          (connection) => connection.close(),
        );
      const publishing = await connect('retries');
      const consuming = await connect('batches');
      const names = brokerNames();
      const {partitions} = topology.current().broker;
      const publisher = await life.own(
        'publisher',
        () =>
          createPublisher({
            connection: publishing,
            names,
            partitions,
            confirmTimeoutMs: CONFIRM_TIMEOUT_MS,
            log,
            registry,
          }),
        (open) => open.close(),
      );
      await life.own(
        'worker',
        () =>
          startWorker({
            shards,
            cache,
            connection: consuming,
            publisher,
            names,
            partitions,
            concurrency: config.concurrency,
            recordDays: () => topology.current().retention.recordDays,
            log,
            registry,
            now: Date.now,
            newId: randomUUID,
            sleep,
          }),
        (worker) => worker.close(),
      );
      readiness.add('broker', () => consuming.check());
      readiness.add('schema', createSchemaCheck(shards));
      readiness.add('slot map', () => {
        shards.slotMap.shardOf(0);
      });
      return 'serving';
    },
  });
}

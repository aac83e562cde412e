import {CONNECTIONS} from '@pisync/contract/connections';
import {v7 as uuidv7} from 'uuid';
import {performance} from 'node:perf_hooks';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {brokerNames} from '@pisync/core/broker/names';
import type {ConfigOf} from '@pisync/core/config/config';
import {runService, type Service} from '@pisync/core/lifecycle/run-service';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {connectBroker, connectCache, connectShards, followTopology, openPublisher} from '@pisync/core/region/connect';
import {createSchemaCheck} from '@pisync/core/shards/schema-check';
import {workerConfig} from './config.ts';
import {startWorker} from './worker.ts';

/** The worker: consumes until it is told to stop. */
export const main = (argv: readonly string[]): Promise<void> =>
  runService({definition: workerConfig, argv, process, now: () => performance.now(), body: work});

const work = async (service: Service<ConfigOf<typeof workerConfig>>): Promise<'serving'> => {
  const {config, log, registry, tracer, life, readiness} = service;
  const topology = await followTopology(service);
  const shards = await connectShards(service, topology, CONNECTIONS.worker(config.concurrency));
  const cache = await connectCache(service, topology, () => performance.now());
  // The broker blocks whole connections that publish when it is full; batches must still be taken out of it then.
  const publishing = await connectBroker(service, topology, {purpose: 'retries', random: Math.random});
  const consuming = await connectBroker(service, topology, {purpose: 'batches', random: Math.random});
  const names = brokerNames(config.brokerPrefix);
  const {partitions} = topology.current().broker;
  const publisher = await openPublisher(service, {
    connection: publishing,
    declare: (channel) => assertBrokerTopology(channel, names, partitions),
    confirmTimeoutMs: undefined,
  });
  const schema = createSchemaCheck(shards);
  const worker = await life.own(
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
        onAway: schema.doubt,
        keptDays: () => Math.min(topology.current().retention.recordDays, topology.current().retention.receiptDays),
        log,
        registry,
        tracer,
        now: Date.now,
        newId: () => uuidv7(),
        timers: systemTimers,
      }),
    (started) => started.close(),
  );
  topology.onChange(() => worker.follow());
  readiness.add('broker', () => consuming.check());
  readiness.add('schema', schema.check);
  readiness.add('slot map', () => shards.slotMap.check());
  return 'serving';
};

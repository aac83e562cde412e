import {CONNECTIONS} from '@pisync/contract/connections';
import {FACTS_KEY, SLOT_MAP_KEY} from '@pisync/contract/facts';
import {SECRET_KEYS} from '@pisync/contract/files';
import {randomUUID} from 'node:crypto';
import {performance} from 'node:perf_hooks';
import {assertProbeQueue} from '@pisync/core/broker/broker-topology';
import {brokerNames} from '@pisync/core/broker/names';
import type {ConfigOf} from '@pisync/core/config/config';
import {AppError, describeError} from '@pisync/core/errors/app-error';
import {runService, type Service} from '@pisync/core/lifecycle/run-service';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {connectBroker, connectCache, connectShards, followTopology, openPublisher} from '@pisync/core/region/connect';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {encodeSlotMap} from '@pisync/core/shards/saved-slot-map';
import {type Shards} from '@pisync/core/shards/shards';
import {type TopologyFile} from '@pisync/core/topology/topology-file';
import {Gauge, Histogram} from 'prom-client';
import {countBacklog} from './backlog.ts';
import {keeperConfig} from './config.ts';
import {gatherFacts} from './facts.ts';
import {createFactsPublisher, type PublishFact} from './facts-publisher.ts';
import {keepShards} from './keep-shards.ts';
import {tryBroker, tryCache} from './probes.ts';
import {type Job, runJobs, type ScheduleOptions} from './schedule.ts';

/** How long a shard may be without an acting keeper after one died. */
const ACTING_INTERVAL_MS = 5_000;
/** What is found is told at once, so a fault is known within this and the time that a probe waits. */
const FACTS_INTERVAL_MS = 10_000;

type Keeper = Service<ConfigOf<typeof keeperConfig>>;

/** The keeper: of those that run, one acts for each shard, and the others stand by. */
export const main = (argv: readonly string[]): Promise<void> =>
  runService({definition: keeperConfig, argv, process, now: () => performance.now(), body: keep});

const keep = async (service: Keeper): Promise<'serving'> => {
  const {log, registry, life, readiness} = service;
  const {podName, secretsDir} = service.config;
  const secrets = openSecrets(secretsDir);
  const topology = await followTopology(service);
  const shards = await connectShards(service, topology, CONNECTIONS.keeper);
  const jobSeconds = new Histogram({
    name: 'pisync_keeper_job_seconds',
    help: 'Duration of jobs by outcome',
    labelNames: ['job', 'outcome'],
    buckets: [0.01, 0.05, 0.25, 1, 5, 30, 120],
    registers: [registry],
  });
  const schedule: ScheduleOptions = {
    log,
    now: () => performance.now(),
    sleep,
    onRun: (job, outcome, seconds) => jobSeconds.observe({job, outcome}, seconds),
  };
  readiness.add('slot map', () => shards.slotMap.check());

  const publish = await openFactsPublisher(service);
  if (publish !== undefined) {
    const facts = await factsJob(service, topology, shards, publish);
    // Every keeper tells them, whether it acts or not: that a shard is away is what nobody can tell who has to act for it.
    await life.own(
      'facts',
      () => {
        const stopping = new AbortController();
        return {stopping, running: runJobs([facts], stopping.signal, schedule)};
      },
      async ({stopping, running}) => {
        stopping.abort();
        await running;
      },
    );
  }
  const kept = await life.own(
    'shards kept',
    () =>
      keepShards({
        shards,
        readAuditKey: () => secrets.read('audit', SECRET_KEYS.audit.key),
        newHolder: () => `${podName} ${randomUUID()}`,
        intervalMs: ACTING_INTERVAL_MS,
        schedule,
        log,
        registry,
        now: Date.now,
      }),
    (opened) => opened.stop(),
  );
  topology.onChange(() => kept.follow());
  return 'serving';
};

/** Tries what the region stands on and tells what came of it. */
const factsJob = async (
  service: Keeper,
  topology: TopologyFile,
  shards: Shards,
  publish: PublishFact,
): Promise<Job> => {
  const {podName, brokerPrefix} = service.config;
  const cache = await connectCache(service, topology, () => performance.now());
  const connection = await connectBroker(service, topology, {purpose: 'probe', random: Math.random});
  const names = brokerNames(brokerPrefix);
  const publisher = await openPublisher(service, {
    connection,
    declare: (channel) => assertProbeQueue(channel, names),
    confirmTimeoutMs: service.config.confirmTimeoutMs,
  });
  const waiting = new Gauge({
    name: 'pisync_broker_waiting_messages',
    help: 'Messages on the broker that nobody has in hand, by what they wait for: batches, retry, parked, requests, suspects, unreadable',
    labelNames: ['kind'] as const,
    registers: [service.registry],
  });
  const count = async (): Promise<void> => {
    try {
      const {partitions} = topology.current().broker;
      const counts = await countBacklog({connection, names, partitions, shardIds: shards.ids()});
      for (const [kind, messages] of counts) waiting.set({kind}, messages);
    } catch (error) {
      // An old number would be a lie.
      waiting.reset();
      service.log.debug({reason: describeError(error)}, 'what waits on the broker was not counted');
    }
  };
  return {
    name: 'facts',
    everyMs: FACTS_INTERVAL_MS,
    async run(signal) {
      const counting = count();
      const facts = await gatherFacts({
        shards,
        tryBroker: () => tryBroker(publisher, names, (ms) => sleep(ms, signal)),
        tryCache: () => tryCache(cache, podName, (ms) => sleep(ms, signal)),
        now: Date.now,
      });
      await counting;
      await publish(FACTS_KEY, JSON.stringify(facts));
      const slotMap = shards.slotMap.known();
      if (slotMap !== undefined) await publish(SLOT_MAP_KEY, encodeSlotMap(slotMap));
    },
  };
};

/** Undefined where facts are not wanted: outside of Kubernetes there is no ConfigMap to write them into. */
const openFactsPublisher = async ({config, life}: Keeper): Promise<PublishFact | undefined> => {
  const {factsConfigMap, podNamespace, apiServer, serviceAccountDir} = config;
  if (factsConfigMap === undefined) return undefined;
  if (podNamespace === undefined) {
    throw new AppError('config-invalid', 'facts have a ConfigMap but no namespace: set PISYNC_POD_NAMESPACE');
  }
  const publisher = await life.own(
    'facts publisher',
    () =>
      createFactsPublisher({
        apiServer,
        serviceAccountDir,
        namespace: podNamespace,
        configMap: factsConfigMap,
        now: () => performance.now(),
      }),
    (opened) => opened.close(),
  );
  return publisher.publish;
};

import {performance} from 'node:perf_hooks';
import type {ConfigOf} from '@pisync/core/config/config';
import {AppError} from '@pisync/core/errors/app-error';
import {runService, type Service} from '@pisync/core/lifecycle/run-service';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {connectShards, followTopology} from '@pisync/core/region/connect';
import {Gauge, Histogram} from 'prom-client';
import {keeperConfig} from './config.ts';
import {createFactsPublisher, type PublishFacts} from './facts-publisher.ts';
import {createJobs} from './jobs.ts';
import {whileLeading} from './leadership.ts';
import {runJobs} from './schedule.ts';

/** How long a region may be without an acting keeper after one died. */
const LEADERSHIP_INTERVAL_MS = 5_000;

type Keeper = Service<ConfigOf<typeof keeperConfig>>;

/** The keeper: one acts for its region, others stand by. */
export const main = (argv: readonly string[]): Promise<void> =>
  runService({definition: keeperConfig, argv, process, now: () => performance.now(), body: keep});

const keep = async (service: Keeper): Promise<'serving'> => {
  const {log, registry, life, readiness} = service;
  const topology = await followTopology(service);
  const shards = await connectShards(service, topology, {ingest: 1, dashboard: 1, job: 4});
  const publishFacts = await openFactsPublisher(service);
  const acting = new Gauge({
    name: 'pisync_keeper_acting',
    help: '1 while this keeper acts for the region, 0 while it stands by',
    registers: [registry],
  });
  const jobSeconds = new Histogram({
    name: 'pisync_keeper_job_seconds',
    help: 'Duration of jobs by outcome',
    labelNames: ['job', 'outcome'],
    buckets: [0.01, 0.05, 0.25, 1, 5, 30, 120],
    registers: [registry],
  });
  const jobs = createJobs({shards, log, now: Date.now, publishFacts});
  readiness.add('control database', async () => {
    await shards.control('dashboard').query('select 1');
  });
  await life.own(
    'leadership',
    () => {
      const stopping = new AbortController();
      const running = whileLeading(
        {
          control: () => shards.control('job'),
          log,
          intervalMs: LEADERSHIP_INTERVAL_MS,
          sleep,
          onChange: (leading) => acting.set(leading ? 1 : 0),
        },
        stopping.signal,
        (signal) =>
          runJobs(jobs, signal, {
            log,
            now: () => performance.now(),
            sleep,
            onRun: (job, outcome, seconds) => jobSeconds.observe({job, outcome}, seconds),
          }),
      );
      return {stopping, running};
    },
    async ({stopping, running}) => {
      stopping.abort();
      await running;
    },
  );
  return 'serving';
};

/** Undefined where facts are not wanted: outside of Kubernetes there is no ConfigMap to write them into. */
const openFactsPublisher = async ({config, life}: Keeper): Promise<PublishFacts | undefined> => {
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

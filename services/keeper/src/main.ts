import {performance} from 'node:perf_hooks';
import {AppError} from '@pisync/core/errors/app-error';
import {runService} from '@pisync/core/lifecycle/run-service';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {openShards} from '@pisync/core/shards/shards';
import {openTopologyFile} from '@pisync/core/topology/topology-file';
import {Gauge, Histogram} from 'prom-client';
import {keeperConfig} from './config.ts';
import {createFactsPublisher} from './facts-publisher.ts';
import {createJobs} from './jobs.ts';
import {whileLeading} from './leadership.ts';
import {runJobs} from './schedule.ts';

/** How long a region may be without an acting keeper after one died. */
const LEADERSHIP_INTERVAL_MS = 5_000;

/** The keeper: one acts for its region, others stand by. */
export async function main(argv: readonly string[]): Promise<void> {
  await runService({
    definition: keeperConfig,
    argv,
    process,
    now: () => performance.now(),
    body: async ({config, log, registry, life, readiness}) => {
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
            sizes: {ingest: 1, dashboard: 1, job: 4},
          }),
        (open) => open.close(),
      );
      const {factsConfigMap, podNamespace, apiServer, serviceAccountDir} = config;
      if (factsConfigMap !== undefined && podNamespace === undefined) {
        throw new AppError('config-invalid', 'facts have a ConfigMap but no namespace: set PISYNC_POD_NAMESPACE');
      }
      const publisher =
        factsConfigMap === undefined || podNamespace === undefined
          ? undefined
          : await life.own(
              'facts publisher',
              () =>
                createFactsPublisher({
                  apiServer,
                  serviceAccountDir,
                  namespace: podNamespace,
                  configMap: factsConfigMap,
                }),
              (open) => open.close(),
            );

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
      const jobs = createJobs({shards, log, now: Date.now, publishFacts: publisher?.publish});
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
    },
  });
}

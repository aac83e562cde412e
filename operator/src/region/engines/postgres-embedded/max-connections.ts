import {ENV} from '@pisync/contract/env';
import {z} from 'zod';
import {connectionLoad, connectionsNeeded} from '../../../api/v1alpha1/connections.ts';
import {type RegionContext} from '../../context.ts';
import {KINDS} from '../../kinds.ts';

/** The least: enough for three pods of each tier. */
const SMALLEST = 300;

const workerTemplate = z.object({
  spec: z.object({
    containers: z.array(
      z.object({env: z.array(z.object({name: z.string(), value: z.string().optional()})).default([])}),
    ),
  }),
});

/** Of the workers that run: they may be those of an earlier spec. */
const runningConcurrency = (template: unknown): number => {
  const found = workerTemplate.safeParse(template);
  const variables = found.success ? found.data.spec.containers.flatMap(({env}) => env) : [];
  return Number(variables.find(({name}) => name === ENV.workerConcurrency)?.value ?? 0);
};

/**
 * Room for what the services may open, whether by the spec or as they still run: so shards get more before workers with a larger concurrency start, and less
 * only after those have ended. It doubles, because each other number restarts the shards: a few more pods are no reason for that.
 */
export const maxConnections = ({spec, children, names}: RegionContext): number => {
  const wished = connectionLoad(spec);
  const pods = (name: string): number => children.workload(KINDS.deployment, name)?.spec.replicas ?? 0;
  const worker = children.workload(KINDS.deployment, names.worker);
  const needed = connectionsNeeded({
    deviceApi: Math.max(wished.deviceApi, pods(names.deviceApi)),
    adminApi: Math.max(wished.adminApi, pods(names.adminApi)),
    workers: Math.max(wished.workers, pods(names.worker)),
    concurrency: Math.max(wished.concurrency, runningConcurrency(worker?.spec.template)),
    shards: wished.shards,
  });
  return SMALLEST * 2 ** Math.max(0, Math.ceil(Math.log2(needed / SMALLEST)));
};

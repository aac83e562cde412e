import {ENV} from '@pisync/contract/env';
import {z} from 'zod';
import {type ConnectionLoad, connectionLoad, connectionsNeeded} from '../../../api/v1alpha1/connections.ts';
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
export const runningConcurrency = (template: unknown): number => {
  const found = workerTemplate.safeParse(template);
  const variables = found.success ? found.data.spec.containers.flatMap(({env}) => env) : [];
  return Number(variables.find(({name}) => name === ENV.workerConcurrency)?.value ?? 0);
};

/** It doubles, because each other number restarts the shards: a few more pods are no reason for that. */
const roomFor = (load: ConnectionLoad): number =>
  SMALLEST * 2 ** Math.max(0, Math.ceil(Math.log2(connectionsNeeded(load) / SMALLEST)));

/** What the shards have room for by the settings that are written; none while there are no settings. */
export const writtenConnections = ({children, names}: RegionContext): number => {
  const conf = children.configMap(names.postgres)?.['postgresql.conf'] ?? '';
  return Number(/^max_connections = '(\d+)'$/m.exec(conf)?.[1] ?? 0);
};

/**
 * The spec's own number, or room for what the services may open by the spec. What they still run with from an earlier spec keeps the room that there is: so
 * shards get more before workers with a larger concurrency start, and less only when no Deployment asks for it any more. Its last pods may meet a full server
 * until they have ended, which their clients wait out. It makes no more room, because a number of pods
 * that no spec has asked for (`kubectl scale deployment/...`) must not restart the shards.
 */
export const maxConnections = (context: RegionContext): number => {
  const {spec, children, names} = context;
  const own = spec.postgres.parameters['max_connections'];
  if (own !== undefined) return Number(own);
  const wished = connectionLoad(spec);
  const pods = (name: string): number => children.workload(KINDS.deployment, name)?.spec.replicas ?? 0;
  const worker = children.workload(KINDS.deployment, names.worker);
  const running = roomFor({
    deviceApi: Math.max(wished.deviceApi, pods(names.deviceApi)),
    adminApi: Math.max(wished.adminApi, pods(names.adminApi)),
    workers: Math.max(wished.workers, pods(names.worker)),
    concurrency: Math.max(wished.concurrency, runningConcurrency(worker?.spec.template)),
    shards: wished.shards,
  });
  return Math.max(roomFor(wished), Math.min(running, writtenConnections(context)));
};

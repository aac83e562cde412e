import {type ConnectionLoad, connectionLoad, connectionsNeeded} from '../../../api/v1alpha1/connections.ts';
import {type RegionContext} from '../../context.ts';
import {isShardDown, runningConcurrency, runningPods} from '../../running-services.ts';

/** The least: enough for three pods of each tier. */
const SMALLEST = 300;

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
 * shards get more before workers with a larger concurrency start, and less only after those have ended. It makes no more room, because a number of pods
 * that no spec has asked for (`kubectl scale deployment/...`) must not restart the shards. A number of the spec's own with which a shard does not start can be
 * taken back at once.
 */
export const maxConnections = (context: RegionContext): number => {
  const {spec, names} = context;
  const own = spec.postgres.parameters['max_connections'];
  const wished = connectionLoad(spec);
  const least = own === undefined ? roomFor(wished) : Number(own);
  if (own !== undefined && isShardDown(context)) return least;
  const running = connectionsNeeded({
    deviceApi: Math.max(wished.deviceApi, runningPods(context, names.deviceApi, 'device-api')),
    adminApi: Math.max(wished.adminApi, runningPods(context, names.adminApi, 'admin-api')),
    workers: Math.max(wished.workers, runningPods(context, names.worker, 'worker')),
    concurrency: Math.max(wished.concurrency, runningConcurrency(context) ?? 0),
    shards: wished.shards,
  });
  return running > least ? Math.max(least, writtenConnections(context)) : least;
};

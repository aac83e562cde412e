import {CONNECTIONS, MIGRATION_CONNECTIONS, MIGRATION_CONTROL_CONNECTIONS} from '@pisync/contract/connections';
import {always, type Rule} from './rule.ts';
import {type RegionSpec} from './spec.ts';
import {type StatelessTier} from './tiers.ts';

/** What decides how many connections the services of a region open to a shard. */
export interface ConnectionLoad {
  /** Most pods of each tier. */
  readonly deviceApi: number;
  readonly adminApi: number;
  readonly workers: number;
  readonly concurrency: number;
  readonly shards: number;
}

/** While a tier is updated: the new one that comes first, and the old one that has not ended yet. */
const MORE_PODS = 2;
/** PostgreSQL's own for a superuser (superuser_reserved_connections), and some for people and for backups. */
const OTHERS = 3 + 10;

const perPod = (pool: Readonly<Record<string, number>>): number =>
  Object.values(pool).reduce((sum, size) => sum + size, 0);
const DEVICE_API = perPod(CONNECTIONS.deviceApi);
const ADMIN_API = perPod(CONNECTIONS.adminApi);
/** Besides its concurrency. */
const WORKER = perPod(CONNECTIONS.worker(0));
const FIXED =
  perPod(CONNECTIONS.keeper) * (1 + MORE_PODS) + MIGRATION_CONNECTIONS - MIGRATION_CONTROL_CONNECTIONS + OTHERS;

/** Shard 0 has the most, because migrations of all shards read the slot map there. */
export const connectionsNeeded = ({deviceApi, adminApi, workers, concurrency, shards}: ConnectionLoad): number =>
  (deviceApi + MORE_PODS) * DEVICE_API +
  (adminApi + MORE_PODS) * ADMIN_API +
  (workers + MORE_PODS) * (concurrency + WORKER) +
  shards * MIGRATION_CONTROL_CONNECTIONS +
  FIXED;

const mostPods = ({replicas, autoscaling}: StatelessTier): number =>
  autoscaling.enabled ? autoscaling.maxReplicas : replicas;

export const connectionLoad = ({deviceApi, adminApi, workers, postgres}: RegionSpec): ConnectionLoad => ({
  deviceApi: mostPods(deviceApi),
  adminApi: mostPods(adminApi),
  workers: mostPods(workers),
  concurrency: workers.concurrency,
  shards: postgres.shards,
});

const MAX_CONNECTIONS = 'max_connections';
const WHOLE = /^[1-9][0-9]{0,5}$/;

const podsInCel = (tier: string): string =>
  `((self.${tier}.autoscaling.enabled ? self.${tier}.autoscaling.maxReplicas : self.${tier}.replicas) + ${MORE_PODS})`;

const NEEDED_IN_CEL = [
  `${podsInCel('deviceApi')} * ${DEVICE_API}`,
  `${podsInCel('adminApi')} * ${ADMIN_API}`,
  `${podsInCel('workers')} * (self.workers.concurrency + ${WORKER})`,
  `self.postgres.shards * ${MIGRATION_CONTROL_CONNECTIONS}`,
  String(FIXED),
].join(' + ');

/** Services that find no connection free fail together, when there are most of them. */
export const connectionRule: Rule = always({
  at: 'spec',
  field: '.postgres.parameters',
  cel: `!('${MAX_CONNECTIONS}' in self.postgres.parameters) || (self.postgres.parameters['${MAX_CONNECTIONS}'].matches('${WHOLE.source}') && int(self.postgres.parameters['${MAX_CONNECTIONS}']) >= ${NEEDED_IN_CEL})`,
  message: `${MAX_CONNECTIONS} must be a whole number and at least what the services open at most: ${DEVICE_API} for each pod of device-api, ${ADMIN_API} of admin-api, ${WORKER} and workers.concurrency of a worker, for ${MORE_PODS} more pods each than the most that the tier may have, ${MIGRATION_CONTROL_CONNECTIONS} for each shard, and ${FIXED}; without it the operator sets enough`,
  holds({spec}) {
    const own = spec.postgres.parameters[MAX_CONNECTIONS];
    return own === undefined || (WHOLE.test(own) && Number(own) >= connectionsNeeded(connectionLoad(spec)));
  },
});

import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {type ClusterAccess, type ClusterInfo, openCluster, readSecret} from '../../scripts/demo/cluster-access.ts';
import {install} from '../../scripts/demo/install.ts';
import {waitUntilReady} from '../../scripts/demo/region.ts';
import {ROOT} from '../../scripts/images/bundle.ts';
import {type Connect} from './load/commands.ts';
import {type Side} from './side.ts';

const OUT = join(ROOT, 'out');
const NAME = 'bench';
const READY_MS = 300_000;
const GONE = '--timeout=180s';
const HOSTS = {host: 'bench.sync.example.com', adminHost: 'bench.admin.example.com'};
const WITHOUT_AUTOSCALING = {autoscaling: {enabled: false}};
/** The smallest object that makes a region, and tiers of a fixed size: everything else is what it is by default. */
const MANIFEST = {
  apiVersion: 'pisync.io/v1alpha1',
  kind: 'PiSyncRegion',
  metadata: {name: NAME},
  spec: {region: NAME, ingress: HOSTS, deviceApi: WITHOUT_AUTOSCALING, workers: WITHOUT_AUTOSCALING},
};

/** A region of one side, in a namespace of its own. */
export interface BenchRegion {
  readonly cluster: ClusterAccess;
  readonly target: Omit<Connect, 'do' | 'recordsPerSync'>;
  /** Databases, as they are reached now: a shard that is restarted has another address. */
  shardUrls(): Promise<readonly string[]>;
  /** Turns the autoscalers on as the defaults have them, or off, and waits until each tier has the pods that it begins with. Off at first. */
  setAutoscaling(on: boolean): Promise<void>;
  /** Deletes it with its data. */
  drop(): Promise<void>;
}

interface Deployment {
  readonly spec: {readonly replicas: number};
  readonly status?: {readonly replicas?: number; readonly readyReplicas?: number; readonly updatedReplicas?: number};
}

const namespaceOf = (side: Side['name']): string => `bench-${side}`;

const dropRegion = async (cluster: ClusterAccess): Promise<void> => {
  await cluster.kubectl('delete', 'pisyncregion', NAME, '--ignore-not-found', GONE);
  await cluster.kubectl('delete', 'namespace', cluster.namespace, '--ignore-not-found', GONE);
};

/** Installs the side's operator, and makes a region with it. */
export const startRegion = async (info: ClusterInfo, side: Side, say: (line: string) => void): Promise<BenchRegion> => {
  const namespace = namespaceOf(side.name);
  await install(openCluster(info), side.checkout);
  const cluster = openCluster(info, namespace);
  // What an interrupted run left; of the other side too, which has the same hosts.
  for (const name of ['before', 'now'] as const) await dropRegion(openCluster(info, namespaceOf(name)));
  await using begun = new AsyncDisposableStack();
  begun.defer(() => dropRegion(cluster));
  await cluster.kubectl('create', 'namespace', namespace);
  const file = join(OUT, 'bench-region-object.json');
  writeFileSync(file, JSON.stringify(MANIFEST));
  await cluster.kubectl('apply', '-f', file);
  const {status} = await waitUntilReady(cluster, NAME, READY_MS, say);
  let isAutoscaled = false;
  const shardUrl = async ({id}: {readonly id: number}): Promise<string> => {
    const address = await cluster.kubectl('get', 'pod', `${NAME}-pg-${id}-0`, '-o', 'jsonpath={.status.podIP}');
    const [user, password] = await Promise.all([
      readSecret(cluster, `${NAME}-pg-${id}`, 'username'),
      readSecret(cluster, `${NAME}-pg-${id}`, 'password'),
    ]);
    return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${address}:5432/pisync`;
  };
  const target = {
    url: info.ingress.http,
    ...HOSTS,
    enrolmentToken: await readSecret(cluster, `${NAME}-bootstrap`, 'enrolment-token'),
    adminToken: await readSecret(cluster, `${NAME}-bootstrap`, 'admin-token'),
  };
  // The caller's from here on.
  const owned = begun.move();
  return {
    cluster,
    target,
    shardUrls: () => Promise.all(status.shards.map(shardUrl)),
    async setAutoscaling(on) {
      if (on !== isAutoscaled) {
        const tier = on ? null : WITHOUT_AUTOSCALING;
        const patch = JSON.stringify({spec: {deviceApi: tier, workers: tier}});
        await cluster.kubectl('patch', 'pisyncregion', NAME, '--type=merge', `--patch=${patch}`);
        await waitUntilReady(cluster, NAME, READY_MS, () => undefined);
        isAutoscaled = on;
      }
      await untilAtFloor(cluster);
    },
    drop: () => owned.disposeAsync(),
  };
};

/** What a region's tiers begin with, by its defaults. */
const FLOOR = 2;
const FLOOR_MS = 400_000;

const untilAtFloor = async (cluster: ClusterAccess): Promise<void> => {
  const deadlineMs = performance.now() + FLOOR_MS;
  for (;;) {
    const found = await Promise.all(
      ['device-api', 'worker'].map(async (tier) => {
        // kubectl prints a Deployment.
        const deployment = (await cluster.get('deployment', `${NAME}-${tier}`)) as Deployment | undefined;
        const {replicas = 0, readyReplicas = 0, updatedReplicas = 0} = deployment?.status ?? {};
        return [deployment?.spec.replicas ?? 0, replicas, readyReplicas, updatedReplicas];
      }),
    );
    if (found.flat().every((count) => count === FLOOR)) return;
    if (performance.now() > deadlineMs)
      throw new Error(`device-api and the workers did not come to ${FLOOR} pods each: ${JSON.stringify(found)}`);
    await delay(500);
  }
};

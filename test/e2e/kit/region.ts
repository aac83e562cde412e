import {stringify} from 'yaml';
import {kubectlIn, restrictedNamespace, type Kubectl, type KubeObject} from './kubectl.ts';
import {until} from './until.ts';

/** One region in a namespace of the same name. */
export interface Region {
  readonly name: string;
  readonly kubectl: Kubectl;
  readonly host: string;
  readonly adminHost: string;
}

export const regionCalled = (name: string): Region => ({
  name,
  kubectl: kubectlIn(name),
  host: `${name}.sync.example.com`,
  adminHost: `${name}.admin.example.com`,
});

/** What the tests change about the smallest region, merged into `spec` one level deep. */
export type SpecPatch = Readonly<Record<string, unknown>>;

/**
 * The smallest region, and a worker count that no autoscaler touches so that tests know how many there are.
 */
export function regionYaml(region: Region, patch: SpecPatch = {}): string {
  return stringify({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: region.name, namespace: region.name},
    spec: {
      region: region.name,
      ingress: {host: region.host, adminHost: region.adminHost},
      postgres: {storage: {size: '1Gi'}},
      rabbitmq: {storage: {size: '1Gi'}},
      deviceApi: {autoscaling: {enabled: false}},
      workers: {autoscaling: {enabled: false}},
      ...patch,
    },
  });
}

/** Applies a region and waits until it is Ready; prints its conditions when it does not get there. */
export async function readyRegion(name: string, patch: SpecPatch = {}, timeoutMs = 180_000): Promise<Region> {
  const region = regionCalled(name);
  await restrictedNamespace(name);
  await region.kubectl.apply(regionYaml(region, patch));
  await untilReady(region, timeoutMs);
  return region;
}

export async function untilReady(region: Region, timeoutMs = 180_000): Promise<KubeObject> {
  return until(
    `region ${region.name} to be Ready`,
    async () => {
      const object = await region.kubectl.get('psr', region.name);
      if (object === undefined) throw new Error('it does not exist');
      const ready = condition(object, 'Ready');
      if (ready?.status === 'True' && object.status?.['observedGeneration'] === object.metadata.generation)
        return object;
      throw new Error(JSON.stringify(object.status ?? 'no status', undefined, 1));
    },
    {timeoutMs, everyMs: 500},
  );
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export function condition(object: KubeObject, type: string): Condition | undefined {
  // conditions are a list of such objects in every API that has them
  const conditions = (object.status?.['conditions'] ?? []) as readonly Condition[];
  return conditions.find((candidate) => candidate.type === type);
}

/** Deletes the region and everything in its namespace, data included, without waiting for the last pod. */
export async function dropRegion(region: Region): Promise<void> {
  await region.kubectl.run(['delete', 'psr', region.name, '--ignore-not-found', '--wait=true', '--timeout=60s']);
  await kubectlIn('default').run(['delete', 'namespace', region.name, '--ignore-not-found', '--wait=false']);
}

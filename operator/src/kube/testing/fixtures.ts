import {randomBytes} from 'node:crypto';
import {setTimeout as sleep} from 'node:timers/promises';
import {Registry} from 'prom-client';
import {type ApiClient} from '../api-client.ts';
import {Applier} from '../applier.ts';
import {ApiCluster} from '../api-cluster.ts';
import {Caches} from '../caches.ts';
import {systemClock, type Clock} from '../clock.ts';
import {Discovery} from '../discovery.ts';
import {type Identity} from '../identity.ts';
import {type Log} from '../log.ts';
import {kubeMetrics, type KubeMetrics} from '../metrics.ts';
import {type KubeObject} from '../object.ts';
import {ObjectWriter} from '../object-writer.ts';
import {type WatchSpec} from '../controller.ts';

export const identity: Identity = {
  manager: 'shop-operator',
  resourceLabel: 'example.org/shop',
  appliedAnnotation: 'example.org/applied',
  adoptAnnotation: 'example.org/adopt',
  holderAnnotation: 'example.org/operator',
};

export const forever: AbortSignal = new AbortController().signal;

export const testMetrics = (): KubeMetrics => kubeMetrics(new Registry(), 'shop');

/** Remembers what was logged, for messages of failing tests. */
export const testLog = (): Log & {readonly lines: string[]} => {
  const lines: string[] = [];
  const write = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return {lines, debug: write, info: write, warn: write, error: write};
};

export const randomText = (bytes: number, encoding: 'base64url' | 'hex'): string =>
  randomBytes(bytes).toString(encoding);

/** The writing half of an engine on a real API server, without watches: caches hold what it wrote itself. */
export const writingParts = (
  client: ApiClient,
  specs: readonly WatchSpec[] = [],
  clock: Clock = systemClock,
): {applier: Applier; caches: Caches; cluster: ApiCluster; metrics: KubeMetrics} => {
  const caches = new Caches(specs, [], () => undefined);
  const metrics = testMetrics();
  const discovery = new Discovery(client, clock);
  const writer = new ObjectWriter({client, discovery, caches, identity, randomText});
  const applier = new Applier({writer, caches, clock, identity, metrics});
  const cluster = new ApiCluster({
    client,
    discovery,
    caches,
    applier,
    writer,
    identity,
    followedMs: () => 0,
    unseen: () => [],
  });
  return {applier, caches, cluster, metrics};
};

/** Waits until `look` answers something else than undefined; fails with what `describe` says. */
export const eventually = async <T>(
  look: () => Promise<T | undefined> | T | undefined,
  describe: () => string,
  withinMs = 20_000,
): Promise<T> => {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${describe()}`);
    await sleep(20);
  }
};

/** An object as if the server had sent it. */
export const liveObject = (
  name: string,
  resourceVersion: string,
  more: Partial<KubeObject['metadata']> = {},
): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {namespace: 'default', name, uid: `uid-${name}`, resourceVersion, ...more},
});

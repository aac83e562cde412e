import {describe, expect, test} from '@jest/globals';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'}};
const TEN_MINUTES_MS = 600_000;

const condition = (region: SimulatedRegion, type: string) => {
  const found = region.status.conditions?.find((candidate) => candidate.type === type);
  return `${found?.status} ${found?.reason}`;
};

const summary = (region: SimulatedRegion): string =>
  [region.status.phase, ...['Ready', 'Reconciling', 'Stalled'].map((type) => condition(region, type))].join(', ');

const later = (region: SimulatedRegion, ms: number): void => {
  region.now = new Date(region.now.getTime() + ms);
};

const lawsOf = (region: SimulatedRegion) =>
  region.statuses.flatMap(({status, generation}, index) =>
    brokenLaws(status, generation, region.statuses[index - 1]?.status),
  );

interface PodFields {
  readonly name?: string;
  readonly phase?: string;
  readonly metadata?: object;
}

const putPod = (
  region: SimulatedRegion,
  component: string,
  container: object,
  conditions: object[] = [],
  {name = `eu-${component}-x`, metadata = {}, ...status}: PodFields = {},
): void => {
  region.objects.set(`v1/Pod/sync/${name}`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'sync',
      uid: name,
      resourceVersion: '1',
      labels: {'app.kubernetes.io/component': component},
      ...metadata,
    },
    status: {...status, conditions, containerStatuses: [{name: 'main', image: 'a:1', ...container}]},
  });
};

const CRASHES = {restartCount: 3, state: {waiting: {reason: 'CrashLoopBackOff'}}};
const IMAGE_LACKS = {state: {waiting: {reason: 'ErrImagePull'}}};
const CREATED = {state: {waiting: {reason: 'ContainerCreating'}}};
const scheduled = ({now}: SimulatedRegion) => [
  {type: 'PodScheduled', status: 'True', lastTransitionTime: now.toISOString()},
];
const REPLICA_SET = [{apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'set', uid: 'set', controller: true}];
const RESTARTS = {observedGeneration: 1_000, replicas: 1, currentRevision: 'one', updateRevision: 'two'};

describe('a change that takes its time', () => {
  test('more pods: nothing is degraded while as many serve as before', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({adminApi: {replicas: 3}});
    region.settle();
    const serving = (availableReplicas: number): string => {
      const pods = {replicas: 3, updatedReplicas: 3, readyReplicas: availableReplicas, availableReplicas};
      region.set('Deployment', 'eu-admin-api', {observedGeneration: 1_000, ...pods});
      region.settle();
      return `${region.status.phase}, ${condition(region, 'AdminApiAvailable')}`;
    };
    expect([2, 1, 2, 3, 2].map(serving)).toEqual([
      'Updating, False Updating',
      'Degraded, False NotAvailable',
      'Updating, False Updating',
      'Ready, True Available',
      'Degraded, False NotAvailable',
    ]);
    expect(lawsOf(region)).toEqual([]);
  });

  test('a shard that restarts may be away, but not for long', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({postgres: {parameters: {work_mem: '8MB'}}});
    region.settle();
    region.set('StatefulSet', 'eu-pg-0', RESTARTS);
    region.settle();
    expect(summary(region)).toBe('Updating, False Updating, True Updating, False Progressing');
    later(region, TEN_MINUTES_MS);
    region.settle();
    expect(summary(region)).toBe('Degraded, False NotReady, False Stalled, True NotReady');
    // The next pass says the same, and what another tier is late with has its own time.
    region.settle();
    expect(summary(region)).toBe('Degraded, False NotReady, False Stalled, True NotReady');
    region.set('StatefulSet', 'eu-rabbitmq', RESTARTS);
    region.settle();
    region.settle();
    expect(condition(region, 'BrokerReady')).toBe('False Updating');
    region.makeReady('StatefulSet');
    region.settle();
    expect(region.status.phase).toBe('Updating');
    expect(lawsOf(region)).toEqual([]);
  });

  test.each([
    ['of a new region', undefined, 'eu-pg-0', 'Provisioning'],
    ['that joins', 3, 'eu-pg-2', 'Updating'],
  ])('a shard %s that runs and does not get ready waits for a person in the end', (_what, shards, name, phase) => {
    const region = new SimulatedRegion(MINIMAL);
    if (shards !== undefined) region.bringUp().change({postgres: {shards}});
    region.settle();
    region.set('StatefulSet', name, {observedGeneration: 1_000, replicas: 1, updatedReplicas: 1});
    region.settle();
    expect(summary(region)).toBe(`${phase}, False Updating, True Updating, False Progressing`);
    expect(region.next).toMatchObject({kind: 'after'});
    later(region, TEN_MINUTES_MS);
    region.settle();
    expect(summary(region)).toBe('Degraded, False NotReady, False Stalled, True NotReady');
    expect(condition(region, 'DatabaseReady')).toBe('False NotReady');
    expect(lawsOf(region)).toEqual([]);
  });

  test('a pod that was evicted long ago and is still there says nothing of it', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const cutOff = {state: {terminated: {exitCode: 137, reason: 'ContainerStatusUnknown'}}};
    putPod(region, 'device-api', cutOff, [], {name: 'eu-device-api-a', phase: 'Failed'});
    region.change({deviceApi: {logLevel: 'debug'}});
    region.settle();
    const pods = {observedGeneration: 1_000, replicas: 3, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2};
    region.set('Deployment', 'eu-device-api', pods);
    region.settle();
    expect(summary(region)).toBe('Updating, False Updating, True Updating, False Progressing');
    // Nor does it hide what is really in the way.
    putPod(region, 'device-api', IMAGE_LACKS);
    region.settle();
    expect(summary(region)).toBe('Degraded, False ImagePullBackOff, True ImagePullBackOff, False Progressing');
    expect(lawsOf(region)).toEqual([]);
  });

  test('another shard, which nobody uses yet', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({postgres: {shards: 3}});
    region.settle();
    expect(summary(region)).toBe('Updating, False Updating, True Updating, False Progressing');
    expect(new Set(region.statuses.slice(-3).map(({status}) => status.phase))).toEqual(new Set(['Updating']));
  });
});

describe('pods that are missing for no reason that is known', () => {
  test.each([
    ['StatefulSet', 'eu-pg-0', 'NotReady'],
    ['Deployment', 'eu-worker', 'NotAvailable'],
  ])('of %s %s are waited for, after ten minutes by a person', (kind, name, reason) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.set(kind, name, {observedGeneration: 1_000, replicas: 2, updatedReplicas: 2});
    region.settle();
    expect(summary(region)).toBe(`Degraded, False ${reason}, True ${reason}, False Progressing`);
    expect(region.next).toMatchObject({kind: 'after'});
    later(region, TEN_MINUTES_MS);
    region.settle();
    expect(summary(region)).toBe(`Degraded, False ${reason}, False Stalled, True ${reason}`);
    region.makeReady('StatefulSet');
    region.makeReady('Deployment');
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expect(lawsOf(region)).toEqual([]);
  });
});

describe('a change that gets stuck', () => {
  test('names what a data tier is stuck on at once, waits for a person after ten minutes, and recovers by itself', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({postgres: {parameters: {work_mem: '1kB'}}});
    region.settle();
    region.set('StatefulSet', 'eu-pg-0', RESTARTS);
    putPod(region, 'postgres', CRASHES);
    region.settle();
    const found = 'False CrashLoopBackOff, True CrashLoopBackOff, False Progressing';
    expect(summary(region)).toBe(`Degraded, ${found}`);
    later(region, TEN_MINUTES_MS);
    region.settle();
    const stuck = 'Degraded, False CrashLoopBackOff, False Stalled, True CrashLoopBackOff';
    expect(summary(region)).toBe(stuck);
    expect(region.status.message).toContain('it ends again and again');
    later(region, TEN_MINUTES_MS);
    expect(region.pass()).toEqual([]);
    expect(summary(region)).toBe(stuck);
    // Another try has its own ten minutes.
    region.change({postgres: {parameters: {}}});
    region.settle();
    expect(condition(region, 'Stalled')).toBe('False Progressing');
    putPod(region, 'postgres', {ready: true, restartCount: 3, state: {running: {}}});
    for (let round = 0; round < 3; round++) {
      region.makeReady('StatefulSet');
      region.settle();
    }
    expect(region.status.phase).toBe('Ready');
    // At once, and when a person must act.
    expect(region.events.filter(({reason}) => reason === 'CrashLoopBackOff')).toHaveLength(2);
    expect(lawsOf(region)).toEqual([]);
  });

  test('waits for a person when Kubernetes has given up waiting for new pods, though the old ones serve', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({workers: {logLevel: 'debug'}});
    region.settle();
    const late = {type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: 'too late'};
    const pods = {observedGeneration: 1_000, replicas: 3, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2};
    region.set('Deployment', 'eu-worker', {...pods, conditions: [late]});
    region.settle();
    expect(summary(region)).toBe(
      'Degraded, False ProgressDeadlineExceeded, False Stalled, True ProgressDeadlineExceeded',
    );
    putPod(region, 'worker', IMAGE_LACKS);
    region.settle();
    expect(summary(region)).toBe('Degraded, False ImagePullBackOff, False Stalled, True ImagePullBackOff');
    expect(condition(region, 'WorkersAvailable')).toBe('True Updating');
    region.objects.delete('v1/Pod/sync/eu-worker-x');
    region.makeReady('Deployment');
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expect(lawsOf(region)).toEqual([]);
  });

  test.each([
    ['its node was drained', {}, {observedGeneration: 1_000, replicas: 1}, 'False NotReady'],
    ['it restarts for a change', {postgres: {parameters: {work_mem: '8MB'}}}, RESTARTS, 'False Updating'],
  ])('names the pod of a shard that cannot mount what it needs, when %s', (_what, change, status, before) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change(change);
    region.settle();
    region.set('StatefulSet', 'eu-pg-0', status);
    putPod(region, 'postgres', CREATED, scheduled(region));
    region.settle();
    expect(condition(region, 'DatabaseReady')).toBe(before);
    // Nothing happens any more, so nobody but the clock wakes the operator.
    expect(region.next).toMatchObject({kind: 'after'});
    later(region, TEN_MINUTES_MS / 2);
    region.settle();
    const found = 'False ContainerCreating, True ContainerCreating, False Progressing';
    expect(summary(region)).toBe(`Degraded, ${found}`);
    expect(region.status.message).toContain('kubectl describe pod/eu-postgres-x');
    expect(region.next).toMatchObject({kind: 'after'});
    later(region, TEN_MINUTES_MS / 2);
    region.settle();
    expect(summary(region)).toBe('Degraded, False ContainerCreating, False Stalled, True ContainerCreating');
    region.objects.delete('v1/Pod/sync/eu-postgres-x');
    for (let round = 0; round < 3; round++) {
      region.makeReady('StatefulSet');
      region.settle();
    }
    expect(region.status.phase).toBe('Ready');
    expect(lawsOf(region)).toEqual([]);
  });

  test('names the pod of the cache that does not end, for which a restart waits', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({redis: {resources: {limits: {memory: '512Mi'}}}});
    region.settle();
    region.set('Deployment', 'eu-redis', {observedGeneration: 1_000});
    const ended = {deletionTimestamp: region.now.toISOString(), ownerReferences: REPLICA_SET};
    putPod(region, 'redis', {state: {running: {}}}, [], {metadata: ended});
    region.settle();
    expect(condition(region, 'CacheReady')).toBe('False Updating');
    expect(region.next).toMatchObject({kind: 'after'});
    later(region, TEN_MINUTES_MS / 2);
    region.settle();
    expect(condition(region, 'CacheReady')).toBe('False Terminating');
    later(region, TEN_MINUTES_MS / 2);
    region.settle();
    expect(summary(region)).toBe('Degraded, False Terminating, False Stalled, True Terminating');
    expect(region.status.message).toContain('kubectl describe pod/eu-redis-x');
    expect(lawsOf(region)).toEqual([]);
  });

  test('names the pod of a migration that cannot mount what it needs', () => {
    const region = new SimulatedRegion(MINIMAL);
    region.settle();
    region.makeReady('StatefulSet');
    region.makeReady('Deployment');
    region.settle();
    putPod(region, 'migration', CREATED, scheduled(region));
    region.settle();
    expect(summary(region)).toBe('Migrating, False Migrating, True Migrating, False Progressing');
    later(region, TEN_MINUTES_MS);
    region.settle();
    expect(summary(region)).toBe('Degraded, False ContainerCreating, False Stalled, True ContainerCreating');
    expect(region.status.message).toContain('kubectl describe pod/eu-migration-x');
    expect(lawsOf(region)).toEqual([]);
  });
});

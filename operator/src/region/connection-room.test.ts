import {describe, expect, test} from '@jest/globals';
import {recordOf} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

/** Workers beside the other tiers of a minimal region, when shards have 300 connections: 120 + 44 + 39 + (4 + 2) * 14. */
const FIT = 4;

const fixed = (replicas: number) => ({autoscaling: {enabled: false}, replicas});
const scaled = (replicas: number, maxReplicas: number) => ({autoscaling: {enabled: true, maxReplicas}, replicas});
const regionOf = (spec: object) => new SimulatedRegion({region: 'eu-west', ...spec}).bringUp();

const podsOf = (region: SimulatedRegion, name: string) =>
  recordOf(region.find('Deployment', name)?.['spec'])['replicas'];
const mostPodsOf = (region: SimulatedRegion, name: string) =>
  recordOf(region.find('HorizontalPodAutoscaler', name)?.['spec'])['maxReplicas'];
const waits = (region: SimulatedRegion) =>
  (region.status.pendingChanges ?? []).filter(({reason}) => reason.includes('room')).map(({component}) => component);

/** The pod of one shard has come back from its restart. */
const restarted = (region: SimulatedRegion, name: string): void => {
  region.set('StatefulSet', name, {
    observedGeneration: region.find('StatefulSet', name)?.metadata.generation,
    replicas: 1,
    readyReplicas: 1,
    updatedReplicas: 1,
  });
  region.settle();
};

describe('more pods than the shards have room for', () => {
  test.each([
    ['device-api', 'deviceApi', fixed(2), fixed(64), podsOf],
    ['admin-api', 'adminApi', fixed(2), fixed(64), podsOf],
    ['worker', 'workers', fixed(2), fixed(64), podsOf],
    ['worker', 'workers', scaled(2, 16), scaled(40, 64), mostPodsOf],
  ] as const)('of %s (%s) wait until the last shard has restarted with it', (component, field, few, many, countOf) => {
    const region = regionOf({[field]: few});
    const name = `eu-${component}`;
    region.change({[field]: many});
    region.settle();
    const before = countOf(region, name);
    expect(before).toBeLessThan(64);
    expect(waits(region)).toEqual([component]);
    restarted(region, 'eu-pg-0');
    expect(countOf(region, name)).toBe(before);
    restarted(region, 'eu-pg-1');
    expect(countOf(region, name)).toBe(64);
    expect(waits(region)).toEqual([]);
    for (const [index, {status, generation}] of region.statuses.entries())
      expect(brokenLaws(status, generation, region.statuses[index - 1]?.status)).toEqual([]);
  });

  test('are as many as there is room for, also of a Deployment that is made again meanwhile', () => {
    const region = regionOf({workers: fixed(2)});
    region.change({workers: fixed(64)});
    region.settle();
    expect(podsOf(region, 'eu-worker')).toBe(FIT);
    region.objects.delete('apps/v1/Deployment/sync/eu-worker');
    restarted(region, 'eu-pg-0');
    expect(podsOf(region, 'eu-worker')).toBe(FIT);
  });
});

test('as many pods as there is room for wait for no shard, whether it is down or restarts', () => {
  const region = regionOf({workers: fixed(2)});
  region.set('StatefulSet', 'eu-pg-1', {observedGeneration: 1_000, replicas: 1, readyReplicas: 0});
  region.change({workers: fixed(3)});
  region.pass();
  expect(podsOf(region, 'eu-worker')).toBe(3);
  region.makeReady('StatefulSet');
  region.change({workers: fixed(2), postgres: {parameters: {work_mem: '8MB'}}});
  region.settle();
  // Its new pod does not start, and the other shard keeps the old one.
  region.set('StatefulSet', 'eu-pg-0', {
    observedGeneration: 1_000,
    replicas: 1,
    updatedReplicas: 1,
    currentRevision: 'one',
    updateRevision: 'two',
  });
  region.change({workers: fixed(3)});
  region.settle();
  expect({pods: podsOf(region, 'eu-worker'), waits: waits(region)}).toEqual({pods: 3, waits: []});
});

const concurrencyOf = (region: SimulatedRegion) =>
  /"name":"PISYNC_WORKER_CONCURRENCY","value":"(\d+)"/.exec(
    JSON.stringify(region.find('Deployment', 'eu-worker')),
  )?.[1];

test.each([
  ['whose last change still rolls out', {replicas: 3, updatedReplicas: 1, availableReplicas: 2}],
  ['without a pod', {replicas: 2, updatedReplicas: 2}],
])('workers %s get a larger concurrency when the last shard has restarted with room for it', (_what, pods) => {
  const region = regionOf({workers: fixed(2)});
  const before = concurrencyOf(region);
  region.set('Deployment', 'eu-worker', {observedGeneration: 1_000, ...pods});
  region.change({workers: {...fixed(2), concurrency: 32}});
  region.settle();
  restarted(region, 'eu-pg-0');
  expect(concurrencyOf(region)).toBe(before);
  restarted(region, 'eu-pg-1');
  expect(concurrencyOf(region)).toBe('32');
});

describe.each([
  ['a number', fixed, podsOf],
  ['an autoscaler', (count: number) => scaled(2, count), mostPodsOf],
] as const)('more workers of a smaller concurrency, by %s,', (_what, of, countOf) => {
  /** Beside the other tiers, when shards have 600 connections: 120 + 44 + 39 + (8 + 2) * 38. */
  const FIT_OF_32 = 8;
  const live = () => regionOf({workers: {...of(2), concurrency: 32}});
  const state = (region: SimulatedRegion) => [countOf(region, 'eu-worker'), concurrencyOf(region)];
  const report = (region: SimulatedRegion, replicas: number, updatedReplicas: number): void => {
    const observedGeneration = region.find('Deployment', 'eu-worker')?.metadata.generation;
    region.set('Deployment', 'eu-worker', {observedGeneration, replicas, updatedReplicas, availableReplicas: replicas});
    region.settle();
  };
  const comeWhenReplaced = (region: SimulatedRegion): void => {
    // What it reports is still of the template before.
    expect(state(region)).toEqual([FIT_OF_32, '4']);
    report(region, FIT_OF_32 + 1, 1);
    expect(state(region)).toEqual([FIT_OF_32, '4']);
    expect(region.status.pendingChanges).toEqual([
      {
        component: 'worker',
        reason: 'gets more pods (8 of 24 until then) when no worker has the former, larger concurrency any more',
      },
    ]);
    report(region, FIT_OF_32, FIT_OF_32);
    expect(state(region)).toEqual([24, '4']);
    expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).not.toContain('former-concurrency');
    report(region, 24, 24);
    expect(region.status.phase).toBe('Ready');
    expect(region.status.pendingChanges).toBeUndefined();
  };

  test('come when no worker has the larger one any more', () => {
    const region = live();
    region.change({workers: {...of(24), concurrency: 4}});
    region.settle();
    comeWhenReplaced(region);
  });

  test('are as many as there is room for of the larger one while the smaller waits for a shard', () => {
    const region = live();
    region.set('StatefulSet', 'eu-pg-1', {observedGeneration: 1_000, replicas: 1, readyReplicas: 0});
    region.change({workers: {...of(2), concurrency: 4}});
    region.settle();
    region.change({workers: {...of(24), concurrency: 4}});
    region.settle();
    expect(state(region)).toEqual([FIT_OF_32, '32']);
    restarted(region, 'eu-pg-1');
    comeWhenReplaced(region);
  });
});

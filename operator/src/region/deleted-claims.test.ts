import {describe, expect, test} from '@jest/globals';
import {recordOf} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';
import {CLAIM, setClaim} from './testing/volume-claims.ts';

const stalled = (region: SimulatedRegion) => region.status.conditions?.find(({type}) => type === 'Stalled');

/** As the server does while a pod uses the claim. */
const deleteClaim = (region: SimulatedRegion, claim: string): void => {
  const object = region.find('PersistentVolumeClaim', claim);
  if (object === undefined) throw new Error('no claim');
  const metadata = {...object.metadata, deletionTimestamp: region.now.toISOString()};
  region.objects.set(`v1/PersistentVolumeClaim/sync/${claim}`, {
    ...object,
    metadata: {...metadata, finalizers: ['kubernetes.io/pvc-protection']},
  });
};

describe.each([
  ['a shard', CLAIM, 'eu-pg-0', 'DatabaseReady', {postgres: {shards: 1, parameters: {work_mem: '8MB'}}}],
  [
    'the broker',
    'data-eu-rabbitmq-0',
    'eu-rabbitmq',
    'BrokerReady',
    {rabbitmq: {resources: {limits: {memory: '2Gi'}}}},
  ],
])('the claim of %s that was deleted', (_what, claim, set, type, change) => {
  const templateOf = (region: SimulatedRegion) =>
    JSON.stringify(recordOf(region.find('StatefulSet', set)?.['spec'])['template']);
  const live = (): SimulatedRegion => {
    const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1}}).bringUp();
    setClaim(region, 'first', '10Gi', '10Gi', claim);
    region.settle();
    return region;
  };

  test('is told at once, while what is on its volume can be kept', () => {
    const region = live();
    deleteClaim(region, claim);
    region.settle();
    expect(region.status.conditions).toContainEqual(
      expect.objectContaining({type, status: 'False', reason: 'ClaimDeleted', message: expect.stringContaining(claim)}),
    );
    expect(stalled(region)).toMatchObject({status: 'True', reason: 'ClaimDeleted'});
    expect(region.events).toContainEqual(expect.objectContaining({type: 'Warning', reason: 'ClaimDeleted'}));
    for (const {status, generation} of region.statuses) expect(brokenLaws(status, generation)).toEqual([]);
  });

  test.each([
    ['that serves', 1],
    ['that does not', 0],
  ])('keeps a change from the pod %s, until that was ended by somebody else', (_pod, readyReplicas) => {
    const region = live();
    const before = templateOf(region);
    deleteClaim(region, claim);
    region.set('StatefulSet', set, {observedGeneration: 1_000, replicas: 1, readyReplicas, updatedReplicas: 1});
    region.change(change);
    region.settle();
    expect(templateOf(region)).toBe(before);
    expect(JSON.stringify(region.status.pendingChanges)).toContain(
      `waits because claim ${claim} was deleted and goes when its pod ends`,
    );

    setClaim(region, 'second', '10Gi', '10Gi', claim);
    region.settle();
    expect(templateOf(region)).not.toBe(before);
    region.makeReady('StatefulSet');
    region.settle();
    expect(stalled(region)?.reason).toBe('VolumeReplaced');
  });
});

describe('the claim of a joining shard that was deleted', () => {
  const joinings = 'data-eu-pg-2-0';
  const grown = (): SimulatedRegion => {
    const region = new SimulatedRegion({region: 'eu-west', deletionPolicy: 'Delete', postgres: {shards: 2}}).bringUp();
    region.change({postgres: {shards: 3}});
    region.settle();
    setClaim(region, 'first', '10Gi', '10Gi', joinings);
    return region;
  };
  const migrated = (region: SimulatedRegion): void => {
    region.makeReady('StatefulSet');
    region.settle();
    region.completeJobs();
    region.settle();
  };
  const joins = (region: SimulatedRegion): void => {
    migrated(region);
    region.makeReady('Deployment');
    region.settle();
  };

  test.each([
    ['before it had its schema', () => undefined],
    ['after it had its schema', migrated],
  ])('is no alarm where a growth was taken back %s and is made again', (_when, before) => {
    const region = grown();
    before(region);
    region.change({postgres: {shards: 2}});
    region.settle();
    region.makeReady('Deployment');
    region.settle();
    // With its StatefulSet, while the pod of that still ends.
    deleteClaim(region, joinings);
    region.statuses.length = 0;
    region.events.length = 0;
    region.change({postgres: {shards: 3}});
    region.settle();
    expect(region.names('StatefulSet')).toContain('eu-pg-2');
    expect(region.status.phase).toBe('Updating');
    expect(region.status.pendingChanges).toContainEqual({
      component: 'shard-2',
      reason: `joins when claim ${joinings}, which was deleted, is gone`,
    });
    setClaim(region, 'second', '10Gi', '10Gi', joinings);
    joins(region);
    expect(region.status).toMatchObject({phase: 'Ready', readyShards: '3/3'});
    expect(region.statuses.filter(({status}) => status.phase !== 'Updating' && status.phase !== 'Ready')).toEqual([]);
    expect(region.events.filter(({type}) => type === 'Warning')).toEqual([]);
  });

  test('keeps no change from its pod, but the shard from being used', () => {
    const region = grown();
    deleteClaim(region, joinings);
    const before = JSON.stringify(region.find('StatefulSet', 'eu-pg-2')?.['spec']);
    region.change({postgres: {shards: 3, parameters: {work_mem: '8MB'}}});
    region.settle();
    expect(JSON.stringify(region.find('StatefulSet', 'eu-pg-2')?.['spec'])).not.toBe(before);
    for (let member = 0; member < 4; member++) joins(region);
    expect(region.status.shards?.[2]).toMatchObject({admitted: false, phase: 'Joining'});
    expect(region.status.phase).toBe('Updating');
  });
});

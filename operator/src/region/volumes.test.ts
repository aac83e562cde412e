import {expect, test} from '@jest/globals';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

const MINIMAL = {region: 'eu-west', postgres: {shards: 1}};
const CLAIM = 'data-eu-pg-0-0';
const JOB = 'eu-migrate-0-v1-92a6c1';

/** As the StatefulSet's controller makes it; `capacity` once a volume is bound to it. */
const setClaim = (region: SimulatedRegion, uid: string, requested: string, capacity?: string, claim = CLAIM): void => {
  region.objects.set(`v1/PersistentVolumeClaim/sync/${claim}`, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {name: claim, namespace: 'sync', uid, resourceVersion: '1'},
    spec: {resources: {requests: {storage: requested}}},
    status: capacity === undefined ? {phase: 'Pending'} : {phase: 'Bound', capacity: {storage: capacity}},
  });
};

const requestOf = (region: SimulatedRegion): string => JSON.stringify(region.find('PersistentVolumeClaim', CLAIM));

const stalled = (region: SimulatedRegion) => region.status.conditions?.find(({type}) => type === 'Stalled');

test('volumes grow, their sets keep the size they were made with, and the status has the size that there is', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'claim', '10Gi', '10Gi');
  region.settle();
  region.change({postgres: {shards: 1, storage: {size: '20Gi'}}});
  region.settle();
  expect(requestOf(region)).toContain('"storage":"20Gi"');
  expect(JSON.stringify(region.find('StatefulSet', 'eu-pg-0')?.['spec'])).toContain('"storage":"10Gi"');
  expect(region.status).toMatchObject({
    phase: 'Ready',
    shards: [{storage: '10Gi'}],
    pendingChanges: [{component: 'database', reason: `volume of claim ${CLAIM} grows from 10Gi to 20Gi`}],
  });
  setClaim(region, 'claim', '20Gi', '20Gi');
  region.settle();
  expect(region.status).toMatchObject({phase: 'Ready', shards: [{storage: '20Gi'}]});
  expect(region.status.pendingChanges).toBeUndefined();
});

test('a claim that has no volume yet is not grown', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  region.change({postgres: {shards: 1, storage: {size: '20Gi'}}});
  setClaim(region, 'claim', '10Gi');
  region.settle();
  expect(requestOf(region)).toContain('"storage":"10Gi"');
  setClaim(region, 'claim', '10Gi', '10Gi');
  region.settle();
  expect(requestOf(region)).toContain('"storage":"20Gi"');
});

test('a shard whose volume was replaced waits for a person and is migrated again when the Job is deleted', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'first', '10Gi', '10Gi');
  region.settle();
  expect(region.status.phase).toBe('Ready');

  setClaim(region, 'second', '10Gi', '10Gi');
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'True', reason: 'VolumeReplaced'});
  expect(stalled(region)?.message).toContain(`kubectl delete job/${JOB}`);
  expect(region.status).toMatchObject({phase: 'Degraded', shards: [{phase: 'Failed'}]});
  expect(region.events.map(({reason}) => reason)).toContain('Stalled');

  region.objects.delete(`batch/v1/Job/sync/${JOB}`);
  region.settle();
  region.completeJobs();
  region.settle();
  expect(region.status.phase).toBe('Ready');
  // The claim may be out of sight for a while; that says nothing about its volume.
  region.objects.delete(`v1/PersistentVolumeClaim/sync/${CLAIM}`);
  region.settle();
  setClaim(region, 'third', '10Gi', '10Gi');
  region.settle();
  expect(stalled(region)?.reason).toBe('VolumeReplaced');
  for (const {status, generation} of region.statuses) expect(brokenLaws(status, generation)).toEqual([]);
});

test('another image migrates no volume that was replaced', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'first', '10Gi', '10Gi');
  region.settle();
  region.objects.delete(`batch/v1/Job/sync/${JOB}`);
  region.settle();
  region.completeJobs();
  region.settle();
  setClaim(region, 'second', '10Gi', '10Gi');
  region.change({version: '1.2.4'});
  region.settle();
  expect(region.names('Job')).toEqual([JOB]);
  expect(stalled(region)?.message).toContain(`kubectl delete job/${JOB}`);
  region.objects.delete(`batch/v1/Job/sync/${JOB}`);
  region.settle();
  expect(region.names('Job')).toHaveLength(1);
  expect(region.names('Job')).not.toContain(JOB);
});

test('the broker keeps a tenth free of the volume that is there, and does not restart for a larger one', () => {
  const broker = 'data-eu-rabbitmq-0';
  const region = new SimulatedRegion(MINIMAL);
  const limit = () =>
    JSON.stringify(region.find('ConfigMap', 'eu-rabbitmq')).match(/disk_free_limit.absolute = (\d+)/)?.[1];
  const tenth = (gib: number) => String(Math.floor((gib * 1024 ** 3) / 10));
  const template = () => JSON.stringify(region.find('StatefulSet', 'eu-rabbitmq')?.['spec']);
  region.change({rabbitmq: {storage: {size: '10Gi'}}});
  region.settle();
  expect(limit()).toBe(tenth(10));
  region.bringUp();
  setClaim(region, 'claim', '10Gi', '10Gi', broker);
  region.settle();
  const before = template();

  region.change({rabbitmq: {storage: {size: '100Gi'}}});
  region.settle();
  expect(JSON.stringify(region.find('PersistentVolumeClaim', broker))).toContain('"storage":"100Gi"');
  expect(limit()).toBe(tenth(10));
  setClaim(region, 'claim', '100Gi', '100Gi', broker);
  region.settle();
  expect(limit()).toBe(tenth(100));
  // A driver may give more than it was asked for, from a disk that others share.
  setClaim(region, 'claim', '100Gi', '900Gi', broker);
  region.settle();
  expect(limit()).toBe(tenth(100));
  expect(template()).toBe(before);
});

test.each([
  ['1Pi', '1Pi'],
  ['1125899906842624', '1Pi'],
  ['1.1259e15', '1125900G'],
])('a volume of %s, as servers write such sizes, is understood', (requested, capacity) => {
  const region = new SimulatedRegion({region: 'eu-west', rabbitmq: {storage: {size: '1024Ti'}}}).bringUp();
  setClaim(region, 'a', requested, capacity, 'data-eu-rabbitmq-0');
  region.settle();
  expect(region.status.phase).toBe('Ready');
});

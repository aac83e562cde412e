import {expect, test} from '@jest/globals';
import {NAMES, SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';
import {CLAIM, labelsOf, setClaim} from './testing/volume-claims.ts';

const MINIMAL = {region: 'eu-west', postgres: {shards: 1}};
const JOB = NAMES.migration(0);

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
    brokerNodes: [{id: 0}],
    pendingChanges: [
      {
        component: 'database',
        reason: `volume of claim ${CLAIM} grows from 10Gi to 20Gi: its storage driver has not begun; if it never does, it cannot grow volumes: see kubectl describe pvc/${CLAIM}`,
      },
    ],
  });
  setClaim(region, 'claim', '20Gi', '20Gi');
  region.settle();
  expect(region.status).toMatchObject({phase: 'Ready', shards: [{storage: '20Gi'}]});
  expect(region.status.pendingChanges).toBeUndefined();
});

test('a claim that grows gets no labels that go away with the spec', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'claim', '10Gi', '10Gi');
  region.settle();
  region.change({postgres: {shards: 1, storage: {size: '20Gi'}}, common: {labels: {team: 'blue'}}});
  region.settle();
  expect(requestOf(region)).toContain('"storage":"20Gi"');
  expect(region.find('PersistentVolumeClaim', CLAIM)?.metadata.labels).toEqual(labelsOf(CLAIM));
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

/** As a person who knows what is on the new volumes of the shards. */
const accept = (region: SimulatedRegion): void => {
  const secret = region.find('Secret', 'eu-bootstrap');
  if (secret === undefined) throw new Error('no Secret');
  const {'pisync.io/shard-volumes': _, ...annotations} = secret.metadata.annotations ?? {};
  region.objects.set('v1/Secret/sync/eu-bootstrap', {...secret, metadata: {...secret.metadata, annotations}});
};

test.each([
  ['was lost while the region was away waits for a person', 'second', 'VolumeReplaced'],
  ['is still there goes on', 'first', undefined],
])('a shard whose volume %s', (_what, uid, reason) => {
  const before = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(before, 'first', '10Gi', '10Gi');
  before.settle();
  // What deletionPolicy Retain leaves.
  const region = new SimulatedRegion(MINIMAL);
  for (const [key, object] of before.objects) if (object.kind === 'Secret') region.objects.set(key, object);
  setClaim(region, uid, '10Gi', '10Gi');
  region.bringUp();
  expect(stalled(region)).toMatchObject(reason === undefined ? {status: 'False'} : {status: 'True', reason});
  expect(region.names('Job')).toEqual(reason === undefined ? [JOB] : []);
  accept(region);
  region.bringUp();
  expect(region.status.phase).toBe('Ready');
});

test('the volume that a Job of an earlier operator has migrated is taken over from it', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'first', '10Gi', '10Gi');
  region.settle();
  const job = region.find('Job', JOB);
  if (job === undefined) throw new Error('no Job');
  const annotations = {...job.metadata.annotations, 'pisync.io/volume': 'first'};
  region.objects.set(`batch/v1/Job/sync/${JOB}`, {...job, metadata: {...job.metadata, annotations}});
  accept(region);
  setClaim(region, 'second', '10Gi', '10Gi');
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'True', reason: 'VolumeReplaced'});
});

test('a shard whose volume was replaced waits for a person and is migrated again when that says so', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'first', '10Gi', '10Gi');
  region.settle();
  expect(region.status.phase).toBe('Ready');

  setClaim(region, 'second', '10Gi', '10Gi');
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'True', reason: 'VolumeReplaced'});
  expect(stalled(region)?.message).toContain('kubectl annotate secret/eu-bootstrap pisync.io/shard-volumes-');
  expect(region.names('Job')).toEqual([]);
  expect(region.status).toMatchObject({phase: 'Degraded', shards: [{phase: 'Failed'}]});
  expect(region.events.map(({reason}) => reason)).toContain('VolumeReplaced');

  accept(region);
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

test.each([
  ['runs', []],
  ['has failed', [{type: 'Failed', status: 'True'}]],
])('a migration that %s while its shard gets an empty volume is made again for that', (_what, conditions) => {
  const region = new SimulatedRegion(MINIMAL);
  const volume = () => region.find('Job', JOB)?.metadata.annotations?.['pisync.io/volume'];
  region.settle();
  setClaim(region, 'first', '10Gi', '10Gi');
  region.makeReady('StatefulSet');
  region.settle();
  expect(volume()).toBe('first');
  region.set('Job', JOB, {conditions});
  // Out of sight between the two; that says nothing.
  region.objects.delete(`v1/PersistentVolumeClaim/sync/${CLAIM}`);
  region.settle();
  expect(volume()).toBe('first');
  setClaim(region, 'second', '10Gi', '10Gi');
  region.settle();
  expect(volume()).toBe('second');
  region.bringUp();
  expect(region.status.phase).toBe('Ready');
  expect(region.find('Secret', 'eu-bootstrap')?.metadata.annotations?.['pisync.io/shard-volumes']).toBe('second');
});

test('a broker whose volume was replaced works on, and says so until a person has seen it', () => {
  const claim = 'data-eu-rabbitmq-0';
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const template = () => JSON.stringify(region.find('StatefulSet', 'eu-rabbitmq')?.['spec']);
  setClaim(region, 'first', '5Gi', '5Gi', claim);
  region.settle();
  expect(region.status.phase).toBe('Ready');
  const before = template();

  region.objects.delete(`v1/PersistentVolumeClaim/sync/${claim}`);
  region.settle();
  setClaim(region, 'second', '5Gi', '5Gi', claim);
  region.change({workers: {logLevel: 'debug'}});
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'True', reason: 'VolumeReplaced'});
  expect(region.status.conditions).toContainEqual(
    expect.objectContaining({type: 'BrokerReady', status: 'False', reason: 'VolumeReplaced'}),
  );
  expect(stalled(region)?.message).toContain('kubectl annotate secret/eu-bootstrap pisync.io/broker-volumes-');
  expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).toContain('"debug"');
  region.makeReady('Deployment');
  region.settle();
  expect(stalled(region)?.reason).toBe('VolumeReplaced');

  const secret = region.find('Secret', 'eu-bootstrap');
  if (secret === undefined) throw new Error('no Secret');
  const {'pisync.io/broker-volumes': known, ...annotations} = secret.metadata.annotations ?? {};
  expect(known).toBe('first');
  region.objects.set('v1/Secret/sync/eu-bootstrap', {...secret, metadata: {...secret.metadata, annotations}});
  region.settle();
  expect(region.status.phase).toBe('Ready');
  expect(region.find('Secret', 'eu-bootstrap')?.metadata.annotations?.['pisync.io/broker-volumes']).toBe('second');
  expect(template()).toBe(before);
  for (const {status, generation} of region.statuses) expect(brokenLaws(status, generation)).toEqual([]);
});

test('a broker that lost its StatefulSet together with its volume says so, too', () => {
  const claim = 'data-eu-rabbitmq-0';
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'first', '5Gi', '5Gi', claim);
  region.settle();
  // Under deletionPolicy Delete the claim goes with the set.
  region.objects.delete('apps/v1/StatefulSet/sync/eu-rabbitmq');
  region.objects.delete(`v1/PersistentVolumeClaim/sync/${claim}`);
  region.settle();
  setClaim(region, 'second', '5Gi', '5Gi', claim);
  region.makeReady('StatefulSet');
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'True', reason: 'VolumeReplaced'});
});

test("a claim of somebody else's StatefulSet is no volume that the broker began with", () => {
  const claim = 'data-eu-rabbitmq-0';
  const region = new SimulatedRegion(MINIMAL);
  region.failures.set('StatefulSet/eu-rabbitmq', 'conflict');
  setClaim(region, 'theirs', '5Gi', '5Gi', claim);
  region.bringUp();
  region.failures.clear();
  region.objects.delete(`v1/PersistentVolumeClaim/sync/${claim}`);
  region.bringUp();
  setClaim(region, 'ours', '5Gi', '5Gi', claim);
  region.settle();
  expect(region.status.phase).toBe('Ready');
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
  expect(region.names('Job')).toEqual([]);
  expect(stalled(region)?.reason).toBe('VolumeReplaced');
  accept(region);
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

const sized = (size: string) => ({postgres: {shards: 1, storage: {size}}});

test('a growth that the storage class refuses holds nothing up, says what can be done, and may be taken back', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'claim', '10Gi', '10Gi');
  setClaim(region, 'broker', '5Gi', '5Gi', 'data-eu-rabbitmq-0');
  region.settle();
  region.failures.set(`PersistentVolumeClaim/${CLAIM}`, 'refused');
  region.change({...sized('11Gi'), workers: {logLevel: 'debug'}});
  region.settle();
  region.makeReady('Deployment');
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'False'});
  expect(region.status).toMatchObject({
    phase: 'Ready',
    shards: [{storage: '10Gi'}],
    brokerNodes: [{id: 0, storage: '5Gi'}],
    pendingChanges: [
      {
        component: 'database',
        reason: `PersistentVolumeClaim ${CLAIM}: refused. Let it be changed to 11Gi, or take spec.postgres.storage.size back to 10Gi`,
      },
    ],
  });
  region.change(sized('10Gi'));
  region.settle();
  expect(region.status.phase).toBe('Ready');
  expect(region.status.pendingChanges).toBeUndefined();
  region.change(sized('9Gi'));
  region.settle();
  expect(stalled(region)).toMatchObject({status: 'True', reason: 'InvalidSpec'});
});

const because = (type: string, message: string) => ({conditions: [{type, status: 'True', reason: '', message}]});

test.each<[string, object, string]>([
  [
    'the driver refuses it',
    because('ControllerResizeError', 'disk quota'),
    'its storage driver refuses it: disk quota',
  ],
  [
    'the driver of an older cluster refuses it',
    {allocatedResourceStatuses: {storage: 'ControllerResizeFailed'}},
    'its storage driver refuses it: see kubectl describe',
  ],
  [
    'the node cannot',
    {
      ...because('NodeResizeError', 'resize2fs: bad magic'),
      allocatedResourceStatuses: {storage: 'NodeResizeInfeasible'},
    },
    'its node cannot enlarge the file system: resize2fs: bad magic',
  ],
  ['the node has not yet', because('FileSystemResizePending', 'x'), 'kubectl delete pod/eu-pg-0-0'],
  ['the driver is at work', because('Resizing', ''), 'its storage driver is at work'],
])('a volume that does not grow because %s says so', (_what, more, expected) => {
  const region = new SimulatedRegion({...MINIMAL, ...sized('20Gi')}).bringUp();
  setClaim(region, 'claim', '20Gi', '10Gi', CLAIM, more);
  region.settle();
  expect(region.status).toMatchObject({phase: 'Ready', pendingChanges: [{component: 'database'}]});
  expect(region.status.pendingChanges?.[0]?.reason).toContain(`grows from 10Gi to 20Gi: `);
  expect(region.status.pendingChanges?.[0]?.reason).toContain(expected);
});

test('a wish that was not fulfilled is lowered at the claim as far as Kubernetes takes it', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  setClaim(region, 'claim', '10Gi', '10Gi');
  region.settle();
  region.change(sized('100Gi'));
  region.settle();
  region.change(sized('20Gi'));
  region.settle();
  expect(requestOf(region)).toContain('"storage":"20Gi"');
  // Not down to what there is, so this one is left.
  region.change(sized('10Gi'));
  region.settle();
  expect(requestOf(region)).toContain('"storage":"20Gi"');
  expect(region.status).toMatchObject({
    phase: 'Ready',
    pendingChanges: [
      {reason: expect.stringContaining('still asks for 20Gi, which Kubernetes does not take back to the 10Gi')},
    ],
  });
  setClaim(region, 'claim', '20Gi', '20Gi');
  region.settle();
  expect(requestOf(region)).toContain('"storage":"20Gi"');
  expect(region.status).toMatchObject({phase: 'Ready', shards: [{storage: '20Gi'}]});
  expect(region.status.pendingChanges).toBeUndefined();
});

test('claims say what GitOps tools must leave; a set that was made without that keeps its template, which cannot change', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const set = region.find('StatefulSet', 'eu-pg-0');
  if (set === undefined) throw new Error('no StatefulSet');
  expect(JSON.stringify(set['spec'])).toContain('"argocd.argoproj.io/sync-options":"Prune=false,Delete=false"');
  // Of our own manifest.
  const spec = set['spec'] as {readonly volumeClaimTemplates: readonly {readonly metadata: object}[]};
  const volumeClaimTemplates = spec.volumeClaimTemplates.map((template) => {
    const {name, labels} = template.metadata as {readonly name: string; readonly labels: object};
    return {...template, metadata: {name, labels}};
  });
  region.objects.set('apps/v1/StatefulSet/sync/eu-pg-0', {...set, spec: {...spec, volumeClaimTemplates}});
  setClaim(region, 'claim', '10Gi', '10Gi');
  region.settle();
  expect(region.find('StatefulSet', 'eu-pg-0')).toMatchObject({spec: {volumeClaimTemplates}});
  expect(region.find('PersistentVolumeClaim', CLAIM)?.metadata.annotations).toMatchObject({
    'helm.sh/resource-policy': 'keep',
  });
});

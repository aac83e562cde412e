import {describe, expect, test} from '@jest/globals';
import {Children} from './children.ts';
import {KINDS} from './kinds.ts';
import {decodeRegion} from './region.ts';
import {perishable} from './retention.ts';
import {SimulatedRegion, UID} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com'}};

const whenDeleted = (region: SimulatedRegion): readonly unknown[] =>
  ['eu-pg-0', 'eu-pg-1', 'eu-rabbitmq'].map((name) => {
    // Of our own manifest.
    const spec = region.find('StatefulSet', name)?.['spec'] as
      {readonly persistentVolumeClaimRetentionPolicy: {readonly whenDeleted: string}} | undefined;
    return spec?.persistentVolumeClaimRetentionPolicy.whenDeleted;
  });

const ownersOfSecrets = (region: SimulatedRegion): readonly string[] =>
  [...region.objects.values()]
    .filter(({kind, metadata}) => kind === 'Secret' && metadata.ownerReferences !== undefined)
    .map(({metadata}) => metadata.name);

describe('Delete becomes Retain', () => {
  test.each([
    ['suspended', {suspend: true}, 'Suspended'],
    ['whose spec breaks a rule', {region: 'us-east'}, 'Invalid'],
  ])('in a region %s', (_what, change, phase) => {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy: 'Delete'}).bringUp();
    const template = JSON.stringify(region.find('StatefulSet', 'eu-pg-0')?.['spec']);
    region.change({...change, postgres: {resources: {requests: {cpu: '1'}}}});
    expect(region.pass()).toEqual([]);
    expect(region.finalizer).toBe('release');
    region.change({deletionPolicy: 'Retain'});
    region.pass();
    expect(region.finalizer).toBe('keep');
    expect(region.status.phase).toBe(phase);
    expect(whenDeleted(region)).toEqual(['Retain', 'Retain', 'Retain']);
    expect(ownersOfSecrets(region)).toEqual([]);
    expect(JSON.stringify(region.find('StatefulSet', 'eu-pg-0')?.['spec'])).toBe(
      template.replace('"Delete"', '"Retain"'),
    );
    expect(region.pass()).toEqual([]);
    expect(region.finalizer).toBe('release');
  });

  test('what was left of a growth that was taken back stays as well, and holds the region no longer than that', () => {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy: 'Delete'}).bringUp();
    region.change({postgres: {shards: 3}});
    region.settle();
    region.change({postgres: {shards: 2}});
    region.settle();
    expect(ownersOfSecrets(region)).toContain('eu-pg-2');
    region.change({deletionPolicy: 'Retain'});
    region.settle();
    expect(ownersOfSecrets(region)).toEqual([]);
    expect(region.finalizer).toBe('release');
  });

  test('a growth that is taken back at the same moment leaves its volume', () => {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy: 'Delete'}).bringUp();
    region.change({postgres: {shards: 3}});
    region.settle();
    region.change({postgres: {shards: 2}, deletionPolicy: 'Retain'});
    region.pass();
    expect(JSON.stringify(region.find('StatefulSet', 'eu-pg-2'))).toContain('"whenDeleted":"Retain"');
    region.settle();
    expect(region.find('StatefulSet', 'eu-pg-2')).toBeUndefined();
    expect(region.finalizer).toBe('release');
  });

  test('what is generated is neither lost nor made again', () => {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy: 'Delete'}).bringUp();
    const before = region.find('Secret', 'eu-pg-0')?.['data'];
    region.change({suspend: true, deletionPolicy: 'Retain'});
    region.settle();
    expect(region.find('Secret', 'eu-pg-0')?.['data']).toEqual(before);
  });

  test('in a region that is deleted at the same moment: it waits until the data is safe, and says so', () => {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy: 'Delete'}).bringUp();
    region.change({deletionPolicy: 'Retain'});
    region.isDeleted = true;
    region.failures.set('StatefulSet/eu-pg-1', 'refused');
    region.settle();
    expect(region.finalizer).toBe('keep');
    expect(region.status).toMatchObject({phase: 'Deleting', message: expect.stringContaining('StatefulSet eu-pg-1')});
    region.failures.clear();
    region.settle();
    expect(region.finalizer).toBe('release');
    expect(whenDeleted(region)).toEqual(['Retain', 'Retain', 'Retain']);
  });
});

test.each([
  ['suspended', {suspend: true}],
  ['whose spec breaks a rule', {region: 'us-east'}],
])('Retain becomes Delete in a region %s: its data stays until that has an end', (_what, change) => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  region.change({...change, deletionPolicy: 'Delete'});
  expect(region.pass()).toEqual([]);
  expect(whenDeleted(region)).toEqual(['Retain', 'Retain', 'Retain']);
  region.change({suspend: false, region: MINIMAL.region});
  region.settle();
  expect(whenDeleted(region)).toEqual(['Delete', 'Delete', 'Delete']);
});

test('a region under Delete, or one that is retained already, is held by nothing', () => {
  for (const deletionPolicy of ['Delete', 'Retain']) {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy}).bringUp();
    expect(region.finalizer).toBe('release');
    // Something else that does not get on is no reason to hold it.
    region.failures.set('Ingress/eu-device-api', 'refused');
    region.change({ingress: {host: 'other.sync.example.com'}});
    region.pass();
    expect(region.finalizer).toBe('release');
    region.isDeleted = true;
    expect(region.pass()).toEqual([]);
    expect(region.finalizer).toBe('release');
  }
});

describe('what would go with the region', () => {
  const set = {
    ...KINDS.statefulSet,
    metadata: {
      name: 'eu-pg-0',
      namespace: 'sync',
      uid: 'set',
      resourceVersion: '1',
      ownerReferences: [
        {apiVersion: 'pisync.io/v1alpha1', kind: 'PiSyncRegion', name: 'eu', uid: UID, controller: true},
      ],
    },
    spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: 'Retain', whenScaled: 'Retain'}},
  };
  const claim = {
    ...KINDS.volumeClaim,
    metadata: {
      name: 'data-eu-pg-0-0',
      namespace: 'sync',
      uid: 'claim',
      resourceVersion: '1',
      ownerReferences: [{apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'eu-pg-0', uid: 'set'}],
    },
  };
  const namesAtRisk = (metadata: object, ...children: readonly (typeof set | typeof claim)[]): readonly string[] => {
    const region = decodeRegion({
      apiVersion: 'pisync.io/v1alpha1',
      kind: 'PiSyncRegion',
      metadata: {name: 'eu', namespace: 'sync', uid: UID, resourceVersion: '1', ...metadata},
      spec: {region: 'eu-west'},
    });
    return perishable(region, new Children(children)).map(({metadata: {name}}) => name);
  };

  test('a claim that its StatefulSet has not let go of yet', () => {
    expect(namesAtRisk({}, set, claim)).toEqual(['data-eu-pg-0-0']);
    expect(namesAtRisk({}, set, {...claim, metadata: {...claim.metadata, ownerReferences: []}})).toEqual([]);
  });

  test('nothing of what is being deleted already, which no finalizer would save', () => {
    const gone = {...set, metadata: {...set.metadata, deletionTimestamp: '2026-03-01T12:00:00Z'}};
    expect(namesAtRisk({}, gone, claim)).toEqual([]);
  });

  test('nothing of a region that somebody wants gone', () => {
    const annotations = {'pisync.io/force-delete': ''};
    expect(namesAtRisk({annotations, deletionTimestamp: '2026-03-01T12:00:00Z'}, set, claim)).toEqual([]);
    expect(namesAtRisk({annotations}, set, claim)).toEqual(['data-eu-pg-0-0']);
  });
});

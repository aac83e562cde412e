import {MAX_SHARDS} from '@pisync/contract/limits';
import {topologySchema} from '@pisync/contract/topology';
import {describe, expect, test} from '@jest/globals';
import {statusSchema} from '../api/v1alpha1/status.ts';
import {NAMES, SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';
import {setClaim} from './testing/volume-claims.ts';

const shards = (count: number) => ({postgres: {shards: count}});
const SPEC = {region: 'eu-west', ...shards(2)};
const SERVICES = ['eu-device-api', 'eu-admin-api', 'eu-worker', 'eu-keeper'];

const ready = {observedGeneration: 1_000, replicas: 2, readyReplicas: 2, updatedReplicas: 2, availableReplicas: 2};
const rolling = {...ready, updatedReplicas: 1};
const shardReady = {observedGeneration: 1_000, replicas: 1, readyReplicas: 1};

/** Ids of shards that services use, and of those that only migrations know. */
const topology = (region: SimulatedRegion) => {
  const data = region.find('ConfigMap', 'eu-topology')?.['data'] as {readonly 'topology.json': string};
  const {shards: used, joining} = topologySchema.parse(JSON.parse(data['topology.json']));
  return {used: used.map(({id}) => id), joining: joining.map(({id}) => id)};
};

const templates = (region: SimulatedRegion) =>
  SERVICES.map((name) => JSON.stringify(region.find('Deployment', name)?.['spec']));

const accepted = (region: SimulatedRegion) => region.find('Secret', 'eu-bootstrap')?.metadata.annotations;
const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

const expectLaws = (region: SimulatedRegion): void => {
  for (const [index, {status, generation}] of region.statuses.entries()) {
    expect(brokenLaws(status, generation, region.statuses[index - 1]?.status)).toEqual([]);
  }
};

test('a shard that cannot start restarts no service, and holds none of their changes', () => {
  const region = new SimulatedRegion(SPEC).bringUp();
  const before = templates(region);
  region.change(shards(3));
  region.settle();
  expect(templates(region)).toEqual(before);
  expect(topology(region)).toEqual({used: [0, 1], joining: [2]});
  expect(region.status.shards?.map(({admitted, phase}) => [admitted, phase])).toEqual([
    [true, 'Ready'],
    [true, 'Ready'],
    [false, 'Starting'],
  ]);
  expect(region.status.pendingChanges).toEqual(
    expect.arrayContaining([{component: 'shard-2', reason: 'joins when its database is up'}]),
  );

  region.change({workers: {logLevel: 'debug'}, redis: {maxMemory: '64Mi'}});
  region.settle();
  region.makeReady('Deployment');
  region.settle();
  expect(templates(region)[2]).toContain('"debug"');
  expect(JSON.stringify(region.find('ConfigMap', 'eu-redis'))).toContain(String(64 * 1024 ** 2));
  expectLaws(region);
});

test('a Secret that a joining shard lacks keeps nobody else from starting', () => {
  const region = new SimulatedRegion(SPEC).bringUp();
  region.change(shards(3));
  region.failures.set('Secret/eu-pg-2', 'refused');
  region.settle();
  region.change({workers: {logLevel: 'debug'}});
  region.settle();
  expect(templates(region)[2]).toContain('"debug"');
});

test('services get the credentials first; the topology lists the shard when every one of them has them', () => {
  const region = new SimulatedRegion(SPEC).bringUp();
  region.change(shards(3));
  region.settle();
  region.set('StatefulSet', 'eu-pg-2', shardReady);
  region.settle();
  expect(templates(region).join()).not.toContain('eu-pg-2');

  for (const name of SERVICES) region.set('Deployment', name, rolling);
  region.set('Job', NAMES.migration(2), {conditions: [{type: 'Complete', status: 'True'}]});
  region.settle();
  for (const template of templates(region)) expect(template).toContain('"shard-2/password"');
  for (const name of SERVICES.slice(1)) region.set('Deployment', name, ready);
  region.settle();
  expect(topology(region)).toEqual({used: [0, 1], joining: [2]});
  expect(region.status.shards?.[2]).toMatchObject({admitted: false, phase: 'Joining'});
  expect(accepted(region)?.['pisync.io/accepted']).toContain('"shards":2');

  region.set('Deployment', 'eu-device-api', ready);
  region.pass();
  // First it is written down, then acted upon.
  expect(accepted(region)?.['pisync.io/accepted']).toContain('"shards":3');
  expect(topology(region).used).toEqual([0, 1]);
  const before = templates(region);
  region.settle();
  expect(topology(region)).toEqual({used: [0, 1, 2], joining: []});
  expect(templates(region)).toEqual(before);
  expect(region.status).toMatchObject({phase: 'Ready', readyShards: '3/3'});
  expect(region.status.shards?.[2]).toMatchObject({admitted: true, phase: 'Ready'});
  expectLaws(region);
});

test.each(['Retain', 'Delete'])('a growth is taken back under %s, and made again', (deletionPolicy) => {
  const region = new SimulatedRegion({...SPEC, deletionPolicy}).bringUp();
  region.change(shards(4));
  region.settle();
  region.set('StatefulSet', 'eu-pg-2', shardReady);
  region.settle();
  expect(region.names('Job')).toContain(NAMES.migration(2));

  region.change(shards(2));
  region.settle();
  expect(region.status).toMatchObject({phase: 'Ready', readyShards: '2/2'});
  expect(region.status.shards).toHaveLength(2);
  expect(region.names('StatefulSet')).toEqual(['eu-pg-0', 'eu-pg-1', 'eu-rabbitmq']);
  expect(region.names('Job')).toEqual([NAMES.migration(0), NAMES.migration(1)]);
  expect(region.names('Service').filter((name) => name.startsWith('eu-pg-'))).toEqual([
    'eu-pg-0',
    'eu-pg-0-rw',
    'eu-pg-1',
    'eu-pg-1-rw',
  ]);
  // It opens the volume, which may stay as well.
  expect(region.find('Secret', 'eu-pg-2')).toBeDefined();

  region.change(shards(3));
  region.settle();
  region.makeReady('StatefulSet');
  region.settle();
  region.completeJobs();
  region.settle();
  region.makeReady('Deployment');
  region.settle();
  expect(region.status).toMatchObject({phase: 'Ready', readyShards: '3/3'});
  expect(topology(region).used).toEqual([0, 1, 2]);
  region.change(shards(2));
  expect(region.pass()).toEqual([]);
  expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason: 'InvalidSpec'});
  expectLaws(region);
});

describe('what a growth leaves that was taken back under Retain', () => {
  const CLAIM = 'data-eu-pg-2-0';
  const owners = (region: SimulatedRegion, kind: string, name: string) =>
    region.find(kind, name)?.metadata.ownerReferences?.map((owner) => owner.kind);

  const takenBack = (): SimulatedRegion => {
    const region = new SimulatedRegion(SPEC).bringUp();
    region.change(shards(3));
    region.settle();
    setClaim(region, 'u2', '10Gi', '10Gi', CLAIM);
    region.change(shards(2));
    region.settle();
    return region;
  };

  test('goes with the region under Delete, and stays when that is taken back as well', () => {
    const region = takenBack();
    expect(owners(region, 'PersistentVolumeClaim', CLAIM)).toBeUndefined();
    region.change({deletionPolicy: 'Delete'});
    region.settle();
    expect(owners(region, 'PersistentVolumeClaim', CLAIM)).toEqual(['PiSyncRegion']);
    expect(owners(region, 'Secret', 'eu-pg-2')).toEqual(['PiSyncRegion']);
    expect(region.find('Secret', 'eu-pg-2')?.metadata.annotations).toEqual(
      region.find('Secret', 'eu-pg-1')?.metadata.annotations,
    );

    region.change({deletionPolicy: 'Retain', suspend: true});
    region.pass();
    expect(region.finalizer).toBe('keep');
    region.settle();
    expect(region.finalizer).toBe('release');
    expect(owners(region, 'PersistentVolumeClaim', CLAIM)).toBeUndefined();
    expect(owners(region, 'Secret', 'eu-pg-2')).toBeUndefined();
  });

  test.each([
    ['Retain', 'Delete'],
    ['Delete', 'Retain'],
  ])('is told when its claim may not be changed from %s to %s, and stops nothing', (before, after) => {
    const region = takenBack();
    region.change({deletionPolicy: before});
    region.settle();
    region.failures.set(`PersistentVolumeClaim/${CLAIM}`, 'refused');
    region.change({deletionPolicy: after});
    region.settle();
    region.makeReady('StatefulSet');
    region.settle();
    expect(region.status).toMatchObject({
      phase: 'Ready',
      pendingChanges: [
        {component: `PersistentVolumeClaim ${CLAIM}`, reason: `PersistentVolumeClaim ${CLAIM}: refused`},
      ],
    });
    region.failures.clear();
    region.settle();
    expect(region.status.pendingChanges).toBeUndefined();
  });

  test("is taken up by the next growth, and is its StatefulSet's again", () => {
    const region = takenBack();
    region.change({deletionPolicy: 'Delete'});
    region.settle();
    region.change(shards(3));
    region.bringUp();
    expect(region.status).toMatchObject({phase: 'Ready', readyShards: '3/3'});
    expect(owners(region, 'PersistentVolumeClaim', CLAIM)).toBeUndefined();
  });

  test.each([
    ['nobody', {labels: {}}],
    [
      'another region',
      {labels: {'app.kubernetes.io/instance': 'us', 'app.kubernetes.io/managed-by': 'pisync-operator'}},
    ],
    [
      "somebody else's StatefulSet",
      {ownerReferences: [{apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'eu-pg-2', uid: 'x'}]},
    ],
  ])('is not taken for what is marked as of %s', (_whose, marks) => {
    const region = takenBack();
    for (const [key, object] of region.objects)
      if ([CLAIM, 'eu-pg-2'].includes(object.metadata.name))
        region.objects.set(key, {...object, metadata: {...object.metadata, ...marks}});
    const before = [region.find('PersistentVolumeClaim', CLAIM), region.find('Secret', 'eu-pg-2')];
    region.change({deletionPolicy: 'Delete'});
    region.settle();
    expect([region.find('PersistentVolumeClaim', CLAIM), region.find('Secret', 'eu-pg-2')]).toEqual(before);
    region.makeReady('StatefulSet');
    region.settle();
    expect(region.status.phase).toBe('Ready');
  });
});

test.each(['PiSyncRegion/eu', 'Secret/eu-bootstrap'])('no shard goes on the word of a %s that has changed', (which) => {
  const region = new SimulatedRegion(SPEC).bringUp();
  region.change(shards(3));
  region.settle();
  region.change(shards(2));
  region.changed.add(which);
  region.pass();
  expect(region.names('StatefulSet')).toContain('eu-pg-2');
  region.changed.clear();
  region.settle();
  expect(region.names('StatefulSet')).not.toContain('eu-pg-2');
});

test.each([
  ['alone', {}],
  ['with a larger volume', {postgres: {shards: 2, storage: {size: '20Gi'}}}],
  ['with another label', {common: {labels: {team: 'one'}}}],
  ['with another policy', {deletionPolicy: 'Delete'}],
])('a growth that has its schema is taken back (%s) and nothing fails', (_what, more) => {
  const region = new SimulatedRegion(SPEC).bringUp();
  region.change(shards(3));
  region.settle();
  setClaim(region, 'third', '10Gi', '10Gi', 'data-eu-pg-2-0');
  region.set('StatefulSet', 'eu-pg-2', shardReady);
  region.settle();
  region.completeJobs();
  for (const name of SERVICES) region.set('Deployment', name, rolling);
  region.settle();
  expect(accepted(region)?.['pisync.io/shard-volumes']).toContain('third');

  region.statuses.length = 0;
  region.events.length = 0;
  region.change({...shards(2), ...more});
  region.settle();
  expect(region.names('StatefulSet')).not.toContain('eu-pg-2');
  expect(accepted(region)?.['pisync.io/shard-volumes']).toBeUndefined();
  expect(region.statuses.map(({status}) => status.phase)).not.toContain('Degraded');
  expect(region.events.filter(({type}) => type === 'Warning')).toEqual([]);
});

test('a new region shares its slots out when all its shards are up, and until then may have fewer', () => {
  const region = new SimulatedRegion(SPEC);
  region.settle();
  region.set('StatefulSet', 'eu-pg-0', shardReady);
  region.settle();
  expect(region.names('Job')).toEqual([]);
  expect(topology(region)).toEqual({used: [0], joining: [1]});

  const smaller = new SimulatedRegion(SPEC);
  for (const [key, object] of region.objects) smaller.objects.set(key, object);
  smaller.change(shards(1));
  smaller.settle();
  expect(smaller.names('Job')).toEqual([NAMES.migration(0)]);

  region.set('StatefulSet', 'eu-pg-1', shardReady);
  while (region.names('Job').length === 0) {
    expect(topology(region).used).toEqual(region.status.shards?.every(({admitted}) => admitted) ? [0, 1] : [0]);
    region.pass();
  }
  // What the Job's pod reads was there before it.
  expect(topology(region)).toEqual({used: [0, 1], joining: []});
});

test('the slots of a new region are shared among the shards that are admitted, whatever is wished for before they are', () => {
  const region = new SimulatedRegion(SPEC);
  region.settle();
  region.makeReady('StatefulSet');
  region.settle();
  const job = () => region.find('Job', NAMES.migration(0));
  const first = job();
  expect(JSON.stringify(first)).toContain('{"name":"PISYNC_FIRST_SHARDS","value":"2"}');
  // Its image cannot be pulled yet.
  region.change(shards(4));
  region.settle();
  expect(topology(region)).toEqual({used: [0, 1], joining: [2, 3]});
  expect(job()).toEqual(first);
  region.change(shards(2));
  region.bringUp();
  expect(region.status).toMatchObject({phase: 'Ready', readyShards: '2/2'});
  expect(job()?.metadata.uid).toBe(first?.metadata.uid);
});

const annotate = (region: SimulatedRegion, value: string | undefined): void => {
  const key = 'v1/Secret/sync/eu-bootstrap';
  const secret = region.objects.get(key);
  if (secret === undefined) throw new Error('no Secret');
  const annotations = value === undefined ? {} : {'pisync.io/accepted': value};
  region.objects.set(key, {...secret, metadata: {...secret.metadata, annotations}});
};

test('what an earlier operator has written is read: all its shards count as admitted', () => {
  const region = new SimulatedRegion(SPEC).bringUp();
  const text = accepted(region)?.['pisync.io/accepted'] ?? '';
  annotate(region, text.replace('"version":2,', ''));
  region.status = {};
  region.settle();
  expect(topology(region)).toEqual({used: [0, 1], joining: []});
  annotate(region, text.replace('"version":2,', ''));
  region.change(shards(1));
  expect(region.pass()).toEqual([]);
  expect(condition(region, 'Stalled')?.reason).toBe('InvalidSpec');
});

test.each(['{"version":3,"region":"eu-west"}', 'yes\n\u001b[2J', '{"region":"eu-west"}'])(
  'nothing is touched while what was written down is %s',
  (text) => {
    const region = new SimulatedRegion(SPEC).bringUp();
    annotate(region, text);
    region.change({region: 'us-east', ...shards(1)});
    expect(region.pass()).toEqual([]);
    expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason: 'AcceptedUnreadable'});
    expect(condition(region, 'Stalled')?.message).toMatch(/^\P{Cc}*eu-bootstrap\P{Cc}*$/u);
    expectLaws(region);
  },
);

test('a size of any length that was written down keeps nobody busy', () => {
  const region = new SimulatedRegion(SPEC).bringUp();
  annotate(
    region,
    accepted(region)?.['pisync.io/accepted']?.replace(/"size":"[^"]*"/, `"size":"${'1'.repeat(30_000)}x"`),
  );
  const fromMs = performance.now();
  region.change(shards(3));
  expect(region.pass()).toEqual([]);
  expect(condition(region, 'Stalled')?.reason).toBe('AcceptedUnreadable');
  expect(performance.now() - fromMs).toBeLessThan(2_000);
});

test('admitted shards stay so when the Secret that says it was made anew', () => {
  const region = new SimulatedRegion(SPEC).bringUp();
  annotate(region, undefined);
  region.set('StatefulSet', 'eu-pg-1', {observedGeneration: 1_000});
  region.settle();
  expect(topology(region)).toEqual({used: [0, 1], joining: []});
  expect(accepted(region)?.['pisync.io/accepted']).toContain('"shards":2');
});

test('as many shards as a region may declare are known to its services, its keeper and its status', () => {
  const region = new SimulatedRegion({...SPEC, ...shards(MAX_SHARDS)});
  const ids = Array.from({length: MAX_SHARDS}, (_, id) => id);
  region.facts = {checkedAt: '2026-03-01T12:00:00Z', shards: ids.map((id) => ({id, write: {ok: true}}))};
  region.bringUp();
  expect(topology(region)).toEqual({used: ids, joining: []});
  expect(region.status.phase).toBe('Ready');
  expect(statusSchema.shape.shards.parse(region.status.shards)).toHaveLength(MAX_SHARDS);
});

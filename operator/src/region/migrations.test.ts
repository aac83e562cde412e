import {describe, expect, test} from '@jest/globals';
import {recordOf} from '../kube/object.ts';
import {NAMES, SimulatedRegion} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west'};

const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

test('the cluster removes a failed migration a minute later, by its own clock, and it is made again', () => {
  const region = new SimulatedRegion(MINIMAL);
  region.settle();
  region.makeReady('StatefulSet');
  region.settle();
  const job = NAMES.migration(0);
  region.set('Job', job, {conditions: [{type: 'Failed', status: 'True'}]});
  region.settle();
  expect(region.find('Job', job)).toMatchObject({spec: {ttlSecondsAfterFinished: 60}});
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'MigrationFailed'});
  region.objects.delete(`batch/v1/Job/sync/${job}`);
  expect(region.pass()).toEqual([`Job/${job}`]);
  region.settle();
  expect(region.find('Job', job)).not.toMatchObject({spec: {ttlSecondsAfterFinished: 60}});
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'Migrating'});
});

test('an attempt that failed is no problem once its Job is complete, whatever is migrated after it', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const jobs = region.names('Job');
  const fail = (job: string): void => {
    const {metadata} = region.find('Job', job) ?? {};
    if (metadata === undefined) throw new Error('no Job');
    const {uid, labels = {}} = metadata;
    const name = `${job}-abcde`;
    const owner = {apiVersion: 'batch/v1', kind: 'Job', name: job, uid, controller: true};
    const terminated = {exitCode: 1, reason: 'Error'};
    region.objects.set(`v1/Pod/sync/${name}`, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {name, namespace: 'sync', uid: name, resourceVersion: '1', labels, ownerReferences: [owner]},
      status: {phase: 'Failed', containerStatuses: [{name: 'migration', image: 'pisync:1', state: {terminated}}]},
    });
  };
  // Its Job was complete with the next one.
  for (const job of jobs) fail(job);
  region.change({version: '1.2.4'});
  region.settle();
  const added = region.names('Job').filter((name) => !jobs.includes(name));
  expect(added).toHaveLength(2);
  expect(region.status.phase).toBe('Updating');
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'Migrating'});

  // Shard 0 is migrated at the second attempt, shard 1 fails.
  fail(added[0] ?? '');
  region.settle();
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'PodFailed'});
  region.set('Job', added[0] ?? '', {conditions: [{type: 'Complete', status: 'True'}]});
  region.settle();
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'Migrating'});
  fail(added[1] ?? '');
  region.settle();
  expect(condition(region, 'SchemaMigrated')?.message).toContain(added[1]);
});

test('a migration that the server does not let be made says so, and does not wait for shards that are ready', () => {
  const region = new SimulatedRegion(MINIMAL);
  region.settle();
  region.failures.set(`Job/${NAMES.migration(0)}`, 'refused');
  region.makeReady('StatefulSet');
  region.makeReady('Deployment');
  region.settle();
  expect(condition(region, 'SchemaMigrated')).toMatchObject({
    status: 'False',
    reason: 'Refused',
    message: `0/2 shards migrated to the schema of version 1.2.3: Job ${NAMES.migration(0)}: refused`,
  });
  expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason: 'Refused'});
  region.failures.clear();
  region.settle();
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'Migrating'});
});

test.each([
  ['the tag of its image', {images: {service: 'mirror.example.com/sync:1.0.4'}}, '1.0.4'],
  ['its version', {version: '1.2.4'}, '1.2.4'],
  ['the version of the operator', {}, '1.2.3'],
])('the schema that a region has is called after %s', (_, spec, version) => {
  const region = new SimulatedRegion({...MINIMAL, ...spec}).bringUp();
  expect(condition(region, 'SchemaMigrated')).toMatchObject({
    status: 'True',
    message: `2/2 shards migrated to the schema of version ${version}`,
  });
  expect(region.status.version?.current).toBe(version);
});

test('a Job that an operator before this one gave another name goes away', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const jobs = region.names('Job');
  const job = region.find('Job', NAMES.migration(0));
  if (job === undefined) throw new Error('no Job');
  const name = 'eu-migrate-0-v1-92a6c1';
  region.objects.set(`batch/v1/Job/sync/${name}`, {...job, metadata: {...job.metadata, name, uid: 'former'}});
  region.settle();
  expect(region.names('Job')).toEqual(jobs);
  expect(region.status.phase).toBe('Ready');
});

test('what a migration waits for is told, and not that former ones stay', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  shardDown(region);
  region.change({version: '1.2.4'});
  region.settle();
  const [, ours] = region.names('Job').filter((name) => name.startsWith('eu-migrate-0'));
  region.set('Job', ours ?? '', {conditions: [{type: 'Complete', status: 'True'}]});
  region.settle();
  expect(region.status.pendingChanges).toContainEqual({component: 'schema', reason: 'waits until its shard is ready'});
});

test.each([
  ['another version', {version: '1.2.4'}],
  ['an older version', {version: '1.0.0'}],
])('%s brings its own schema before the services get it, and the way back needs none', (_, change) => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const jobs = region.names('Job').toSorted();
  region.change(change);
  region.settle();
  const image = `pisync:${change.version}`;
  const added = region.names('Job').filter((name) => !jobs.includes(name));
  expect(added.map((name) => JSON.stringify(region.find('Job', name)).includes(image))).toEqual([true, true]);
  expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).not.toContain(image);
  expect(region.status.phase).toBe('Updating');

  region.change({version: undefined});
  region.settle();
  expect(region.names('Job').toSorted()).toEqual(jobs);
  expect(region.status.phase).toBe('Ready');

  region.change(change);
  region.settle();
  region.completeJobs();
  region.settle();
  expect(region.names('Job').toSorted()).toEqual([...jobs, ...added].toSorted());
  expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).toContain(image);
  region.makeReady('Deployment');
  region.settle();
  expect(region.names('Job')).toEqual(added);
  expect(region.status.phase).toBe('Ready');
});

test('a migration that runs is ended before one with another image is made', () => {
  const region = new SimulatedRegion(MINIMAL);
  region.settle();
  region.makeReady('StatefulSet');
  region.settle();
  const jobs = region.names('Job');
  region.change({version: '1.2.4'});
  region.pass();
  expect(region.names('Job')).toEqual([]);
  region.settle();
  expect(region.names('Job')).toHaveLength(2);
  expect(region.names('Job').some((name) => jobs.includes(name))).toBe(false);
});

test.each([
  ['the same as it would be', {}],
  ['another than it would be', {keeper: {logLevel: 'debug'}}],
])(
  'a complete Job, %s, that goes while a pass is at work is made again without what is of its own life',
  (_what, change) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const jobs = region.names('Job');
    const labelled = (): readonly string[] =>
      jobs.filter((name) => JSON.stringify(region.find('Job', name) ?? {}).includes('controller-uid'));
    // As the server makes them.
    for (const [key, {spec, ...job}] of region.objects) {
      if (job.kind !== 'Job') continue;
      const template = recordOf(recordOf(spec)['template']);
      const {labels, ...metadata} = recordOf(template['metadata']);
      const own = {...recordOf(labels), 'batch.kubernetes.io/controller-uid': job.metadata.uid};
      const made = {...recordOf(spec), template: {...template, metadata: {...metadata, labels: own}}};
      region.objects.set(key, {...job, spec: made});
    }
    region.change(change);
    region.settle();
    expect(labelled()).toEqual(jobs);
    region.meanwhile = () => removeAll(region, 'Job');
    region.pass();
    expect(region.names('Job')).toEqual([]);
    region.meanwhile = () => undefined;
    region.settle();
    expect(region.names('Job').toSorted()).toEqual(jobs.toSorted());
    expect(labelled()).toEqual([]);
  },
);

const SERVICES = ['eu-device-api', 'eu-admin-api', 'eu-worker', 'eu-keeper'];

/** The services whose pods are from this version. */
const withVersion = (region: SimulatedRegion, version: string): readonly string[] =>
  SERVICES.filter((name) =>
    JSON.stringify(region.find('Deployment', name)?.['spec'] ?? {}).includes(`pisync:${version}`),
  );

const report = (region: SimulatedRegion, pods: object): void => {
  for (const name of SERVICES) region.set('Deployment', name, {observedGeneration: 1_000, ...pods});
};
const MID_ROLL = {replicas: 3, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2};
const PODLESS = {replicas: 2, updatedReplicas: 2};

const shardDown = (region: SimulatedRegion): void =>
  region.set('StatefulSet', 'eu-pg-1', {observedGeneration: 1_000, replicas: 1, readyReplicas: 0, updatedReplicas: 1});

const removeAll = (region: SimulatedRegion, kind: string, names = region.names(kind)): void => {
  for (const [key, object] of region.objects)
    if (object.kind === kind && names.includes(object.metadata.name)) region.objects.delete(key);
};

describe('a service', () => {
  test.each([
    ['whose last change still rolls out', (region: SimulatedRegion) => report(region, MID_ROLL)],
    ['that has no pod', (region: SimulatedRegion) => report(region, PODLESS)],
    ['that was deleted', (region: SimulatedRegion) => removeAll(region, 'Deployment', SERVICES)],
  ])('%s gets another image when every shard has the schema of that, and not before', (_what, disturb) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({deviceApi: {logLevel: 'debug'}});
    region.settle();
    disturb(region);
    region.change({version: '1.2.4'});
    region.settle();
    expect(withVersion(region, '1.2.4')).toEqual([]);
    region.completeJobs();
    region.settle();
    expect(withVersion(region, '1.2.4')).toEqual(SERVICES);
  });

  test.each([
    ['rolls out', MID_ROLL],
    ['ends again and again', PODLESS],
  ])('goes back to the image before while another one %s, also while a shard is down', (_what, pods) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({version: '1.2.4'});
    region.settle();
    region.completeJobs();
    region.settle();
    expect(withVersion(region, '1.2.4')).toEqual(SERVICES);
    report(region, pods);
    shardDown(region);
    region.settle();
    region.change({version: undefined});
    region.settle();
    expect(withVersion(region, '1.2.3')).toEqual(SERVICES);
    region.makeReady('Deployment');
    region.makeReady('StatefulSet');
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expect(region.names('Job')).toHaveLength(2);
  });

  test('has a bounded number of ways back, however many images do not get on', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const jobs = region.names('Job');
    for (const version of ['1.2.4', '1.2.5', '1.2.6', '1.2.7']) {
      region.change({version});
      region.settle();
      region.completeJobs();
      region.settle();
      expect(withVersion(region, version)).toEqual(SERVICES);
      report(region, MID_ROLL);
      region.settle();
      expect(region.names('Job')).toEqual(expect.arrayContaining([...jobs]));
    }
    expect(region.names('Job')).toHaveLength(6);
    shardDown(region);
    region.settle();
    region.change({version: undefined});
    region.settle();
    expect(withVersion(region, '1.2.3')).toEqual(SERVICES);
  });

  test('that is deleted or does not get on waits for no Job of the image that serves, while a shard is down', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    report(region, MID_ROLL);
    shardDown(region);
    removeAll(region, 'Job');
    removeAll(region, 'Deployment', ['eu-worker']);
    region.change({deviceApi: {logLevel: 'debug'}});
    region.settle();
    expect(withVersion(region, '1.2.3')).toEqual(SERVICES);
    expect(JSON.stringify(region.find('Deployment', 'eu-device-api'))).toContain('debug');
  });
});

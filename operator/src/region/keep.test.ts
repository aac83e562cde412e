import {expect, jest, test} from '@jest/globals';
import {MAX_BROKER_NODES, MAX_SHARDS} from '@pisync/contract/limits';
import {type KubeObject} from '../kube/object.ts';
import {Children} from './children.ts';
import {keepOf, regionOf} from './keep.ts';
import {KINDS} from './kinds.ts';
import {MANAGED_BY, MANAGER, selectorOf, VOLUME} from './labels.ts';
import {namesOf} from './names.ts';
import {problemOf} from './problems.ts';
import {RELEASE, SimulatedRegion} from './testing/simulated-region.ts';

const kindOf = ({kind, apiVersion}: KubeObject) => {
  const found = Object.values(KINDS).find((known) => known.kind === kind && known.apiVersion === apiVersion);
  if (found === undefined) throw new Error(`${kind} is not watched`);
  return found;
};

const REGION: KubeObject = {
  apiVersion: 'pisync.io/v1alpha1',
  kind: 'PiSyncRegion',
  metadata: {name: 'eu', namespace: 'sync', uid: 'region', resourceVersion: '1'},
  spec: {},
};

const isWhole = (object: KubeObject, region: KubeObject | undefined = REGION): boolean =>
  keepOf(kindOf(object), RELEASE).isWhole(object, () => region);

const MEGABYTE = 'x'.repeat(2 ** 20);

const labels = {...selectorOf('eu', 'postgres', 0), [MANAGED_BY]: MANAGER};

const object = (kind: {readonly apiVersion: string; readonly kind: string}, name: string): KubeObject => ({
  ...kind,
  metadata: {name, namespace: 'sync', uid: 'theirs', resourceVersion: '1', labels},
});

const huge = (kind: {readonly apiVersion: string; readonly kind: string}, name: string): KubeObject => ({
  ...kind,
  metadata: {
    name,
    namespace: 'sync',
    uid: 'theirs',
    resourceVersion: '1',
    labels: {...labels, ...Object.fromEntries(Array.from({length: 10_000}, (_, number) => [`l${number}`, 'x']))},
    annotations: {a: MEGABYTE},
    finalizers: [MEGABYTE],
    ownerReferences: Array.from({length: 1_000}, (_, number) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      name: `p${number}`,
      uid: 'p',
    })),
  },
  data: {a: MEGABYTE},
  spec: {
    rules: Array.from({length: 10_000}, (_, number) => ({host: `${number}.example.com`, http: MEGABYTE})),
    hostnames: Array.from({length: 10_000}, (_, number) => `${number}.example.com`),
    template: MEGABYTE,
    containers: MEGABYTE,
  },
});

const below = (count: number): readonly number[] => Array.from({length: count}, (_, id) => id);

test('of what a region makes everything is kept, of nothing else, and of nothing while there is no such region', () => {
  const host = {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'};
  const objects = [
    {postgres: {shards: MAX_SHARDS}, ingress: host},
    {postgres: {shards: 1}, ingress: {...host, gatewayRef: {name: 'g'}}, adminApi: {autoscaling: {enabled: true}}},
  ].flatMap((spec) => [...new SimulatedRegion({region: 'eu-west', ...spec}).bringUp().objects.values()]);
  expect(objects.filter((object) => keepOf(kindOf(object), RELEASE).isWhole(object, () => undefined))).toEqual([]);

  const names = namesOf('eu', RELEASE.images.service);
  const claims = [...below(MAX_SHARDS).map(names.shardVolume), ...below(MAX_BROKER_NODES).map(names.rabbitmqVolume)];
  const made = new Set([
    ...objects.map(({kind, metadata: {name}}) => `${kind}/${name}`),
    ...claims.map((name) => `${KINDS.volumeClaim.kind}/${name}`),
  ]);
  const all = Object.values(names).flatMap((name) => (typeof name === 'string' ? name : below(100).map(name)));
  const kept = Object.values(KINDS).flatMap((kind) =>
    all.filter((name) => isWhole(object(kind, name))).map((name) => `${kind.kind}/${name}`),
  );
  expect(kept.toSorted()).toEqual([...made].toSorted());
  // docs/architecture.md says how many.
  expect(kept).toHaveLength(431);
});

test.each([
  ['data-eu-pg-11-0', KINDS.volumeClaim],
  ['data-eu-rabbitmq-2', KINDS.volumeClaim],
])('what is made for it by others counts, too: %s', (name, kind) => {
  expect(isWhole(huge(kind, name))).toBe(true);
});

test.each(Object.values(KINDS).map((kind) => [kind.kind, kind] as const))(
  'of a %s that is called otherwise, and be it megabytes, little is kept, by which it can still be told',
  (_name, kind) => {
    const object = huge(kind, 'eu-surprise');
    expect(isWhole(object)).toBe(false);
    const part = keepOf(kind, RELEASE).part(object);
    expect(JSON.stringify(part).length).toBeLessThan(2_000);
    expect(part).toMatchObject({...kind, metadata: {name: 'eu-surprise', uid: 'theirs', resourceVersion: '1', labels}});
    expect(isWhole(part)).toBe(false);
  },
);

const LONG_STATE = {
  waiting: {reason: MEGABYTE, message: MEGABYTE},
  running: {startedAt: MEGABYTE},
  terminated: {exitCode: 1, reason: MEGABYTE, message: MEGABYTE, startedAt: MEGABYTE, finishedAt: MEGABYTE},
};
const LONG_CONDITION = {
  type: MEGABYTE,
  status: MEGABYTE,
  reason: MEGABYTE,
  message: MEGABYTE,
  lastTransitionTime: MEGABYTE,
};
const LONG_CONTAINER = {name: MEGABYTE, image: MEGABYTE, state: LONG_STATE, lastState: LONG_STATE};
const LONG_VOLUME = {name: MEGABYTE, persistentVolumeClaim: {claimName: MEGABYTE}};
const SHORT = {
  condition: {type: 'Complete', status: 'True'},
  container: {name: 'c'},
  volume: {name: 'v', persistentVolumeClaim: {claimName: 'data-eu-pg-0-0'}},
};

/** All that metadata, a pod and a Job say, but for what the server itself holds to a length: names, versions, times and the values of labels. */
const endless = (
  kind: {readonly apiVersion: string; readonly kind: string},
  {condition, container, volume}: {condition: object; container: object; volume: object},
  items: number,
  owner: object,
): KubeObject => {
  const many = <T>(item: T): T[] => Array.from({length: items}, () => item);
  const reference = {apiVersion: 'v1', kind: 'Nope', name: 'n', uid: 'z', controller: true, ...owner};
  return {
    ...kind,
    metadata: {
      name: namesOf('eu', 'another image').migration(0),
      namespace: 'sync',
      uid: 'theirs',
      resourceVersion: '1',
      labels,
      finalizers: [MEGABYTE],
      annotations: {[VOLUME]: MEGABYTE, [MEGABYTE]: MEGABYTE},
      ownerReferences: [reference, reference],
      ...{generateName: MEGABYTE, selfLink: MEGABYTE, managedFields: [{manager: MEGABYTE}]},
    },
    status: {
      phase: MEGABYTE,
      message: MEGABYTE,
      conditions: many(condition),
      initContainerStatuses: many(container),
      containerStatuses: many(container),
    },
    spec: {volumes: many(volume), template: MEGABYTE, nodeName: MEGABYTE},
  };
};

const LONG = {condition: LONG_CONDITION, container: LONG_CONTAINER, volume: LONG_VOLUME};

test.each(Object.values(KINDS).map((kind) => [kind.kind, kind] as const))(
  'what is kept of a %s has a limit, however long its texts and lists are',
  (_name, kind) => {
    const owners = ['apiVersion', 'kind', 'name', 'uid'].map((field) => ({[field]: MEGABYTE}));
    const objects = [
      ...owners.map((owner) => endless(kind, SHORT, 1, owner)),
      endless(kind, LONG, 1, {}),
      endless(kind, LONG, 5, {}),
      endless(kind, SHORT, 2_000, {}),
    ];
    for (const object of objects) {
      expect(isWhole(object)).toBe(false);
      const part = keepOf(kind, RELEASE).part(object);
      expect(JSON.stringify(part).length).toBeLessThan(kind === KINDS.pod ? 50_000 : 2_000);
      expect(regionOf(part)).toEqual(regionOf(object));
    }
  },
);

test('who is called by a megabyte is no region', () => {
  const {metadata, ...rest} = endless(KINDS.configMap, SHORT, 1, {name: MEGABYTE});
  expect(regionOf({...rest, metadata: {...metadata, labels: {[MANAGED_BY]: MANAGER}}})).toEqual([]);
});

/** A simulated region that sees of its objects what is kept of them. */
const forget = (region: SimulatedRegion): void => {
  for (const [key, object] of region.objects) {
    const keep = keepOf(kindOf(object), RELEASE);
    if (keep.isWhole(object, () => region.object)) continue;
    const part = keep.part(object);
    region.objects.set(key, {...part, metadata: {...part.metadata, partial: true}});
  }
};

test('of a migration Job for another image little is kept, and what it has done', () => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 2}}).bringUp();
  const jobs = region.names('Job');
  region.change({version: '1.2.4'});
  region.settle();
  forget(region);
  const isPartial = (name: string) => region.find('Job', name)?.metadata.partial;
  expect(jobs.map(isPartial)).toEqual([true, true]);
  const added = region.names('Job').filter((name) => !jobs.includes(name));
  expect(added.map(isPartial)).toEqual([undefined, undefined]);
  region.settle();
  expect(region.names('Job')).toHaveLength(4);
  region.bringUp();
  expect(region.names('Job')).toEqual(added);

  const [name = ''] = jobs;
  const done = {
    ...huge(KINDS.job, name),
    spec: {template: {a: MEGABYTE}},
    status: {conditions: [{type: 'Complete', status: 'True', message: MEGABYTE}]},
  };
  const part = keepOf(KINDS.job, RELEASE).part(done);
  expect(JSON.stringify(part).length).toBeLessThan(2_000);
  expect(part).toMatchObject({status: {conditions: [{type: 'Complete', status: 'True'}]}});
});

test.each(['eu-migrate-0-000000', 'eu-migrate-3-abcdef', 'eu-migrate-x'])(
  'a Job with a name that a migration for another image may have, %s, is not kept whole',
  (name) => {
    expect(isWhole(huge(KINDS.job, name))).toBe(false);
  },
);

test.each([
  [KINDS.secret, 'eu-pg-0.5'],
  [KINDS.statefulSet, 'eu-pg-1.5'],
  [KINDS.volumeClaim, 'data-eu-pg-0.1-0'],
  [KINDS.volumeClaim, 'data-eu-rabbitmq-0.3'],
])('a fraction is the number of none: %j %s', (kind, name) => {
  expect(isWhole(huge(kind, name))).toBe(false);
});

test('it takes no more hashes to tell that a Job is none of those, however many numbers are in its name', () => {
  // Each hash is of one JSON text.
  const stringify = jest.spyOn(JSON, 'stringify');
  const name = ['eu-migrate', ...below(100).map((number) => number % 10), 'abcdef'].join('-');
  expect(isWhole(object(KINDS.job, name))).toBe(false);
  const {length} = stringify.mock.calls;
  stringify.mockRestore();
  expect(length).toBeLessThanOrEqual(2);
});

const NOW = new Date('2026-03-01T12:00:00Z');

test('what is kept of a pod tells what is the matter with it', () => {
  const pod: KubeObject = {
    ...huge(KINDS.pod, 'eu-pg-0-0'),
    status: {
      conditions: [],
      containerStatuses: [
        {name: 'postgres', ready: false, restartCount: 0, state: {waiting: {reason: 'ErrImagePull', message: 'no'}}},
      ],
    },
  };
  expect(isWhole(pod)).toBe(false);
  const part = keepOf(KINDS.pod, RELEASE).part(pod);
  expect(problemOf(new Children([part]), 'postgres', NOW)).toEqual(problemOf(new Children([pod]), 'postgres', NOW));
  expect(problemOf(new Children([part]), 'postgres', NOW)?.reason).toBe('ImagePullBackOff');
});

test('an image that is called by a megabyte is told of, cut', () => {
  const pod: KubeObject = {
    ...huge(KINDS.pod, 'eu-pg-0-0'),
    status: {
      containerStatuses: [
        {image: MEGABYTE, state: {waiting: {reason: 'ErrImagePull', message: MEGABYTE}}},
        {image: MEGABYTE, state: {waiting: {reason: 'ErrImagePull', message: MEGABYTE}}},
      ],
    },
  };
  const problem = problemOf(new Children([keepOf(KINDS.pod, RELEASE).part(pod)]), 'postgres', NOW);
  expect(problem).toMatchObject({reason: 'ImagePullBackOff'});
  expect(problem?.message).toMatch(/^pod eu-pg-0-0: image x{1000,}\.\.\. cannot be pulled$/);
});

test('no decision is made from an object of which only a part is kept', () => {
  const secret: KubeObject = {...huge(KINDS.secret, 'eu-bootstrap'), data: {}};
  const partial = {...secret, metadata: {...secret.metadata, partial: true as const}};
  const children = new Children([partial]);
  expect(children.secret('eu-bootstrap')).toBeUndefined();
  expect(children.all).toEqual([partial]);
});

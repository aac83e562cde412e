import {describe, expect, test} from '@jest/globals';
import {type Key, type KubeObject} from '../kube/object.ts';
import {FakeClock} from '../kube/testing/fake-clock.ts';
import {Children} from './children.ts';
import {FactsAges} from './facts.ts';
import {KINDS} from './kinds.ts';
import {INSTANCE} from './labels.ts';
import {MissingPods} from './missing-pods.ts';
import {observeRegion} from './observe.ts';
import {planRegion} from './plan.ts';
import {decodeRegion} from './region.ts';
import {RELEASE, SimulatedRegion, UID} from './testing/simulated-region.ts';
import {observeUnmarked} from './unmarked.ts';

const never = new AbortController().signal;
const BROKER = 'data-eu-rabbitmq-0';
const BOOTSTRAP = 'eu-bootstrap';

const regionOf = (spec: unknown, metadata: object = {}) =>
  decodeRegion({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: UID, resourceVersion: '1', ...metadata},
    spec,
  });

const bare = (name: string, annotations = {}) => ({
  name,
  namespace: 'sync',
  uid: 'x',
  resourceVersion: '1',
  annotations,
});

/** Made by hand: a name and no label. */
const claim = (name: string): KubeObject => ({
  ...KINDS.volumeClaim,
  metadata: bare(name),
  spec: {resources: {requests: {storage: '7Gi'}}},
  status: {phase: 'Bound', capacity: {storage: '7Gi'}},
});

const asked = async (region: ReturnType<typeof regionOf>, known: readonly KubeObject[]): Promise<readonly string[]> => {
  const names: string[] = [];
  const read = ({name}: Key): Promise<undefined> => {
    names.push(name);
    return Promise.resolve(undefined);
  };
  await observeUnmarked(region, new Children(known), {read}, never);
  return names;
};

test('only what is missing is read', async () => {
  const region = regionOf({postgres: {shards: 2}});
  const [first, second] = ['data-eu-pg-0-0', 'data-eu-pg-1-0'];
  const sets = ['eu-pg-0', 'eu-pg-1', 'eu-rabbitmq'];
  const secrets = [BOOTSTRAP, 'eu-signing', 'eu-audit', 'eu-redis', ...sets];
  expect(await asked(region, [])).toEqual([first, second, BROKER, ...sets, ...secrets]);
  const others = [
    ...sets.map((name) => ({...KINDS.statefulSet, metadata: bare(name)})),
    ...secrets.map((name) => ({...KINDS.secret, metadata: bare(name)})),
  ];
  expect(await asked(region, [claim(BROKER), claim(first), ...others])).toEqual([second]);
  expect(await asked(region, [...[first, second, BROKER].map(claim), ...others])).toEqual([]);
});

test('what anybody may have put under those names is read one after the other', async () => {
  let reading = 0;
  let most = 0;
  const read = async ({kind, name}: Key): Promise<KubeObject> => {
    most = Math.max(most, ++reading);
    await Promise.resolve();
    reading--;
    return {apiVersion: 'v1', kind, metadata: bare(name)};
  };
  const {found} = await observeUnmarked(regionOf({postgres: {shards: 2}}), new Children([]), {read}, never);
  expect({most, kinds: new Set(found.map(({kind}) => kind))}).toEqual({
    most: 1,
    kinds: new Set(['PersistentVolumeClaim']),
  });
});

const DELETED = {deletionTimestamp: '2026-03-01T12:00:00Z'};

test.each<[string, unknown, object]>([
  ['suspended', {suspend: true, deletionPolicy: 'Delete'}, {}],
  ['deleted', {deletionPolicy: 'Delete'}, DELETED],
  ['deleted by force', {}, {...DELETED, annotations: {'pisync.io/force-delete': 'yes'}}],
])('of a region that is %s and retains nothing, nothing is read', async (_what, spec, metadata) => {
  expect(await asked(regionOf(spec, metadata), [])).toEqual([]);
});

test.each<[string, unknown, object]>([
  ['suspended', {suspend: true}, {}],
  ['deleted', {}, DELETED],
])('a region that is %s does not count as retained while it is unknown what it has', async (_what, spec, metadata) => {
  const read = ({kind}: Key): Promise<undefined> =>
    kind === 'StatefulSet' ? Promise.reject(new Error('forbidden')) : Promise.resolve(undefined);
  const observed = observeUnmarked(regionOf(spec, metadata), new Children([]), {read}, never);
  await expect(observed).rejects.toThrow('StatefulSet eu-pg-0 cannot be read: forbidden');
});

test('one that cannot be read hides no other', async () => {
  const read = ({kind, name}: Key): Promise<KubeObject | undefined> => {
    if (kind === 'Secret') return Promise.resolve(undefined);
    return name === BROKER ? Promise.resolve(claim(name)) : Promise.reject(new Error('forbidden'));
  };
  expect(await observeUnmarked(regionOf({postgres: {shards: 1}}), new Children([]), {read}, never)).toEqual({
    found: [claim(BROKER)],
    doubt: 'PersistentVolumeClaim data-eu-pg-0-0 cannot be read: forbidden',
  });
});

test('nothing is planned while it is unknown what the data was made with', async () => {
  const read = ({name}: Key): Promise<undefined> =>
    name === BOOTSTRAP ? Promise.reject(new Error('forbidden')) : Promise.resolve(undefined);
  const observed = observeUnmarked(regionOf({postgres: {shards: 1}}), new Children([]), {read}, never);
  await expect(observed).rejects.toThrow('forbidden');
});

describe('a child that has lost its labels', () => {
  /** What a pass makes of these objects, of which those with labels are watched. */
  const planOf = async (spec: unknown, objects: readonly KubeObject[], metadata: object = {}) => {
    const cluster = {
      listAll: () => Promise.resolve([]),
      unseen: () => [],
      listOwned: () => Promise.resolve(objects.filter(({metadata}) => metadata.labels?.[INSTANCE] === 'eu')),
      read: ({kind, name}: Key) =>
        Promise.resolve(objects.find((object) => object.kind === kind && object.metadata.name === name)),
      serves: () => Promise.resolve(false),
      followedMs: () => 0,
    };
    const clock = new FakeClock();
    const ages = {facts: new FactsAges(clock), missingPods: new MissingPods(clock)};
    const observed = await observeRegion(regionOf(spec, metadata), cluster, ages, never);
    return planRegion(observed, new Date('2026-03-01T12:00:00Z'), RELEASE);
  };

  const without = (region: SimulatedRegion, kind: string, name: string, annotations: object = {}) =>
    [...region.objects.values()].map((object): KubeObject => {
      const {metadata} = object;
      if (object.kind !== kind || metadata.name !== name) return object;
      return {...object, metadata: {...metadata, labels: {}, annotations: {...metadata.annotations, ...annotations}}};
    });

  const desired = ({components}: Awaited<ReturnType<typeof planOf>>, kind: string, name: string): string =>
    JSON.stringify(
      components
        .flatMap((component) => component.desired)
        .find(({manifest}) => manifest.kind === kind && manifest.metadata.name === name),
    );

  test('a StatefulSet keeps the size that it was made with', async () => {
    const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1}}).bringUp();
    region.change({postgres: {shards: 1, storage: {size: '20Gi'}}});
    region.settle();
    const plan = await planOf(region.spec, without(region, 'StatefulSet', 'eu-pg-0'));
    expect(desired(plan, 'StatefulSet', 'eu-pg-0')).toContain('"requests":{"storage":"10Gi"}');
  });

  test.each([{'pisync.io/adopt': 'eu'}, {'pisync.io/applied': 'x'}])(
    'the Secret that has what the data was made with still counts, marked by %j',
    async (annotations) => {
      const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 2}}).bringUp();
      const objects = without(region, 'Secret', BOOTSTRAP, annotations);
      const plan = await planOf(region.spec, objects);
      expect(desired(plan, 'Secret', BOOTSTRAP)).toContain(String.raw`\"postgres\":{\"shards\":2,`);
      const smaller = await planOf({...region.spec, postgres: {shards: 1}}, objects);
      expect(smaller.conclude(new Map()).status).toMatchObject({phase: 'Invalid'});
    },
  );

  test.each<[string, object, object]>([
    ['suspended', {suspend: true}, {}],
    ['deleted', {}, DELETED],
    ['invalid', {region: 'us-east'}, {}],
  ])('is retained in a region that is %s', async (_what, spec, metadata) => {
    const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1}, deletionPolicy: 'Delete'}).bringUp();
    region.change({...spec, deletionPolicy: 'Retain'});
    for (const [kind, name, written] of [
      ['StatefulSet', 'eu-pg-0', '"whenDeleted":"Retain"'],
      ['StatefulSet', 'eu-rabbitmq', '"whenDeleted":"Retain"'],
      ['Secret', 'eu-pg-0', '"ownership":"none"'],
      ['Secret', 'eu-redis', '"ownership":"none"'],
    ] as const) {
      const plan = await planOf(region.spec, without(region, kind, name), metadata);
      expect(desired(plan, kind, name)).toContain(written);
      expect(plan.finalizer).toBe('keep');
    }
  });

  test('a StatefulSet of a stranger, which never had them, is none', async () => {
    const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1}}).bringUp();
    const objects = without(region, 'StatefulSet', 'eu-pg-0').map((object) =>
      object.metadata.labels?.[INSTANCE] === undefined ? {...object, metadata: bare(object.metadata.name)} : object,
    );
    const plan = await planOf(region.spec, objects);
    expect(plan.conclude(new Map()).status).toMatchObject({shards: [{id: 0, phase: 'Pending'}]});
  });
});

test('what cannot be read is told, is tried again, and holds nothing up', () => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1}});
  region.unread = 'PersistentVolumeClaim data-eu-pg-0-0 cannot be read: forbidden';
  region.bringUp();
  expect(region.status).toMatchObject({
    phase: 'Ready',
    pendingChanges: [{component: 'volumes', reason: 'PersistentVolumeClaim data-eu-pg-0-0 cannot be read: forbidden'}],
  });
  expect(region.next).toEqual({kind: 'after', delayMs: 20_000});
});

test('a claim without labels gets those of its StatefulSet, and asks for what it did', () => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1, storage: {size: '5Gi'}}}).bringUp();
  region.objects.set('v1/PersistentVolumeClaim/sync/data-eu-pg-0-0', claim('data-eu-pg-0-0'));
  region.settle();
  expect(region.find('PersistentVolumeClaim', 'data-eu-pg-0-0')).toMatchObject({
    metadata: {
      uid: 'x',
      labels: {
        'app.kubernetes.io/managed-by': 'pisync-operator',
        'app.kubernetes.io/instance': 'eu',
        'app.kubernetes.io/component': 'postgres',
        'pisync.io/shard': '0',
      },
    },
    spec: {resources: {requests: {storage: '7Gi'}}},
  });
  expect(region.status).toMatchObject({phase: 'Ready', shards: [{storage: '7Gi'}]});
});

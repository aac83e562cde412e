import {expect, test} from '@jest/globals';
import {type Key, type KubeObject} from '../kube/object.ts';
import {Children} from './children.ts';
import {decodeRegion} from './region.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {observeUnmarked} from './unmarked-claims.ts';

const never = new AbortController().signal;
const BROKER = 'data-eu-rabbitmq-0';

const regionOf = (spec: unknown, metadata: object = {}) =>
  decodeRegion({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: 'region', resourceVersion: '1', ...metadata},
    spec,
  });

/** Made by hand: a name and no label. */
const claim = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: {name, namespace: 'sync', uid: 'restored', resourceVersion: '1'},
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

test('only claims that are missing are read', async () => {
  const region = regionOf({postgres: {shards: 2}});
  const [first, second] = ['data-eu-pg-0-0', 'data-eu-pg-1-0'];
  expect(await asked(region, [])).toEqual([first, second, BROKER]);
  expect(await asked(region, [claim(BROKER), claim(first)])).toEqual([second]);
  expect(await asked(region, [first, second, BROKER].map(claim))).toEqual([]);
});

test.each<[string, unknown, object]>([
  ['that is suspended', {suspend: true}, {}],
  ['that is being deleted', {}, {deletionTimestamp: '2026-03-01T12:00:00Z'}],
  ['that is no region', 'nonsense', {}],
])('of a region %s nothing is read', async (_what, spec, metadata) => {
  expect(await asked(regionOf(spec, metadata), [])).toEqual([]);
});

test('one that cannot be read hides no other', async () => {
  const read = ({name}: Key): Promise<KubeObject> =>
    name === BROKER ? Promise.resolve(claim(name)) : Promise.reject(new Error('forbidden'));
  expect(await observeUnmarked(regionOf({postgres: {shards: 1}}), new Children([]), {read}, never)).toEqual({
    found: [claim(BROKER)],
    doubt: 'claim data-eu-pg-0-0 cannot be read: forbidden',
  });
});

test('what cannot be read is told, is tried again, and holds nothing up', () => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1}});
  region.doubtfulClaim = 'claim data-eu-pg-0-0 cannot be read: forbidden';
  region.bringUp();
  expect(region.status).toMatchObject({
    phase: 'Ready',
    pendingChanges: [{component: 'volumes', reason: 'claim data-eu-pg-0-0 cannot be read: forbidden'}],
  });
  expect(region.next).toEqual({kind: 'after', delayMs: 20_000});
});

test('a claim without labels gets those of its StatefulSet, and asks for what it did', () => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards: 1, storage: {size: '5Gi'}}}).bringUp();
  region.objects.set('v1/PersistentVolumeClaim/sync/data-eu-pg-0-0', claim('data-eu-pg-0-0'));
  region.settle();
  expect(region.find('PersistentVolumeClaim', 'data-eu-pg-0-0')).toMatchObject({
    metadata: {
      uid: 'restored',
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

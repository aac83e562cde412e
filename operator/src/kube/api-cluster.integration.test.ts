import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {Wait} from './errors.ts';
import {keyOf, type KubeObject} from './object.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {forever, writingParts} from './testing/fixtures.ts';
import {installShops, SHOP, shopPath} from './testing/shop.ts';

let server: TestApiServer;

beforeAll(async () => {
  server = await startApiServer();
  await installShops(server.client);
}, 90_000);

afterAll(async () => {
  await server.stop();
}, 30_000);

const open = async (name: string, finalizers: readonly string[] = []): Promise<KubeObject> => {
  const body = {...SHOP, metadata: {name, finalizers}, spec: {shelves: []}};
  return (await server.client.send({method: 'POST', path: shopPath(), body, signal: forever})).body as KubeObject;
};

const get = async (name: string): Promise<KubeObject> =>
  (await server.client.send({method: 'GET', path: shopPath(name), signal: forever})).body as KubeObject;

test('a status is written only if it changes, and wholly replaced', async () => {
  const {cluster} = writingParts(server.client, [SHOP]);
  const shop = await open('status');
  expect(await cluster.applyStatus(shop, {shelves: 1, problems: ['x']}, forever)).toBe('configured');
  const {resourceVersion} = (await get('status')).metadata;
  expect(await cluster.applyStatus(shop, {problems: ['x'], shelves: 1}, forever)).toBe('unchanged');
  expect((await get('status')).metadata.resourceVersion).toBe(resourceVersion);
  expect(await cluster.applyStatus(shop, {shelves: 2}, forever)).toBe('configured');
  expect((await get('status'))['status']).toEqual({shelves: 2});
});

test('a map of a status that becomes empty is removed, not stored as null', async () => {
  const {cluster} = writingParts(server.client, [SHOP]);
  const shop = await open('emptied');
  await cluster.applyStatus(shop, {shelves: 1, doors: {front: 'open'}}, forever);
  await cluster.applyStatus(shop, {shelves: 1, doors: {}}, forever);
  expect((await get('emptied'))['status']).toEqual({shelves: 1});
});

test('a status is not written to an object of the same name in another life', async () => {
  const {cluster} = writingParts(server.client);
  const shop = await open('reborn');
  await server.client.send({method: 'DELETE', path: shopPath('reborn'), signal: forever});
  expect(await cluster.applyStatus(shop, {shelves: 1}, forever)).toBe('unchanged');
  await open('reborn');
  await expect(cluster.applyStatus(shop, {shelves: 1}, forever)).rejects.toThrow(Wait);
  expect((await get('reborn'))['status']).toBeUndefined();
});

test('a finalizer is set and released once; those of others stay', async () => {
  const {cluster} = writingParts(server.client);
  const kept = await cluster.setFinalizer(
    await open('final', ['example.org/other']),
    'example.org/cleanup',
    true,
    forever,
  );
  expect((await get('final')).metadata.finalizers).toEqual(['example.org/other', 'example.org/cleanup']);
  if (kept === undefined) throw new Error('the object is gone');
  await cluster.setFinalizer(kept, 'example.org/cleanup', true, forever);
  expect((await get('final')).metadata.resourceVersion).toBe(kept.metadata.resourceVersion);
  await cluster.setFinalizer(kept, 'example.org/cleanup', false, forever);
  expect((await get('final')).metadata.finalizers).toEqual(['example.org/other']);
});

test('a pass over one life of a name goes on in no other', async () => {
  const {cluster, caches} = writingParts(server.client, [SHOP]);
  const first = await open('again');
  await server.client.send({method: 'DELETE', path: shopPath('again'), signal: forever});
  caches.assume(await open('again'));
  expect(await cluster.setFinalizer(first, 'example.org/cleanup', false, forever)).toBeUndefined();
  expect(await cluster.setFinalizer(first, 'example.org/cleanup', true, forever)).toBeUndefined();
  expect((await get('again')).metadata.finalizers).toBeUndefined();
});

test('an object that the server does not find is gone when the watch has said so, and changed until then', async () => {
  const {cluster, caches} = writingParts(server.client, [SHOP]);
  const shop = await open('lost');
  caches.assume(shop);
  await server.client.send({method: 'DELETE', path: shopPath('lost'), signal: forever});
  await expect(cluster.applyStatus(shop, {shelves: 1}, forever)).rejects.toThrow(Wait);
  await expect(cluster.setFinalizer(shop, 'example.org/cleanup', true, forever)).rejects.toThrow(Wait);
  caches.assumeGone(shop);
  expect(await cluster.applyStatus(shop, {shelves: 1}, forever)).toBe('unchanged');
  expect(await cluster.setFinalizer(shop, 'example.org/cleanup', true, forever)).toBeUndefined();
});

test('of an object that somebody holds after its deletion no more is kept than before', async () => {
  const keep = {
    isWhole: () => false,
    part: ({apiVersion, kind, metadata}: KubeObject) => ({apiVersion, kind, metadata}),
  };
  const {cluster, caches} = writingParts(server.client, [{...SHOP, keep}]);
  const shop = await open('held', ['example.org/other']);
  for (const {store} of caches) store.put({...keep.part(shop), metadata: {...shop.metadata, partial: true}});
  expect(await cluster.delete(keyOf(shop), {uid: shop.metadata.uid}, forever)).toBe('deleted');
  const {resourceVersion, deletionTimestamp} = (await get('held')).metadata;
  const known = caches.get(keyOf(shop));
  expect(known?.metadata).toMatchObject({resourceVersion, deletionTimestamp, partial: true});
  expect(known).not.toHaveProperty('spec');
  expect(await cluster.delete(keyOf(shop), {uid: shop.metadata.uid}, forever)).toBe('gone');
});

test('nothing is deleted on the word of what has changed, appeared or gone', async () => {
  const {cluster} = writingParts(server.client);
  const target = await open('target');
  const basis = await open('basis');
  const remove = (name: string, version: string | undefined): Promise<unknown> => {
    const unchanged = [{key: {...keyOf(basis), name}, version}];
    return cluster.delete(keyOf(target), {uid: target.metadata.uid, unchanged}, forever);
  };
  await expect(remove('basis', '1')).rejects.toThrow('Shop default/basis is not what it was');
  await expect(remove('basis', undefined)).rejects.toThrow('Shop default/basis is not what it was');
  await expect(remove('nobody', '1')).rejects.toThrow('Shop default/nobody is not what it was');
  expect((await get('target')).metadata.uid).toBe(target.metadata.uid);
  expect(await remove('basis', basis.metadata.resourceVersion)).toBe('deleted');
});

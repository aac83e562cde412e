import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import type {Cache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL, cacheKey} from '@pisync/core/cache/cache-keys';
import {CHANGED_CREDENTIAL} from '@pisync/core/cache/credential-entries';
import {openTestCache} from '@pisync/core/testing/open-test-cache';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {z} from 'zod';
import {type SeededDevice, seedApiToken, seedDevices} from '../testing/seed.ts';
import {type Answer, startTestApi, type TestApi} from '../testing/test-api.ts';

jest.setTimeout(60_000);

let region: TestShards;
let cache: Cache;
/** Without a cache, which may be slow at times. */
let api: TestApi;
let cachedApi: TestApi;
let devices: readonly SeededDevice[];
let admin: string;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  devices = await seedDevices(region.shards, 24);
  admin = await seedApiToken(region.shards, 'admin');
  cache = await openTestCache();
  const options = {shards: region.shards, publish: () => Promise.resolve()};
  api = await startTestApi({...options, cache: {use: () => Promise.resolve(undefined)}});
  cachedApi = await startTestApi({...options, cache});
});

afterAll(async () => {
  await cache.use((redis) =>
    redis.del(...devices.flatMap(({id}) => [cacheKey.device(id), cacheKey.status(id), cacheKey.credential(id)])),
  );
  await api.close();
  await cachedApi.close();
  await cache.close();
  await region.close();
});

/** One of its own for each test. */
const nextOf = (() => {
  let next = 0;
  return (group?: string): SeededDevice => {
    for (;;) {
      const device = devices[next++];
      if (device === undefined) throw new Error('more devices have to be seeded');
      if (group === undefined || device.group === group) return device;
    }
  };
})();

const shownSchema = z.object({
  data: z.looseObject({
    name: z.string().nullable(),
    group: z.string(),
    tags: z.record(z.string(), z.string()),
    revokedAt: z.string().nullable(),
    decommissionedAt: z.string().nullable(),
    revision: z.int(),
  }),
});
const get = async (id: string, from = api) => {
  const {status, headers, body} = await from.call('GET', `/api/v1/devices/${id}`, {token: admin});
  expect(status).toBe(200);
  return {etag: headers.get('etag') ?? '', ...shownSchema.parse(body).data};
};
const patch = (id: string, body: unknown, ifMatch: string | undefined, token = admin): Promise<Answer> =>
  api.call('PATCH', `/api/v1/devices/${id}`, {
    token,
    body,
    headers: ifMatch === undefined ? {} : {'if-match': ifMatch},
  });
const post = (id: string, action: string, token = admin, to = api): Promise<Answer> =>
  to.call('POST', `/api/v1/devices/${id}/${action}`, {token});

test('a change answers with the device as every reader sees it then, and with its ETag', async () => {
  const {id} = nextOf('north');
  const before = await get(id);
  const answer = await patch(id, {name: 'greenhouse 7', group: 'south', tags: {site: null, floor: '2'}}, before.etag);
  expect(answer.status).toBe(200);
  const after = await get(id);
  expect(shownSchema.parse(answer.body).data).toEqual(shownSchema.shape.data.parse({...after, etag: undefined}));
  expect(answer.headers.get('etag')).toBe(after.etag);
  expect(after).toMatchObject({
    name: 'greenhouse 7',
    group: 'south',
    tags: {floor: '2'},
    revision: before.revision + 1,
  });
  const listed = await api.call('GET', `/api/v1/devices?filter=group==south;id==${id}&fields=name`, {token: admin});
  expect(listed.body).toMatchObject({data: [{id, name: 'greenhouse 7'}]});
});

test('a tag may be called anything, and everybody sees it', async () => {
  const {id} = nextOf();
  const tagsOf = (body: unknown): string =>
    JSON.stringify(z.object({data: z.object({tags: z.unknown()})}).parse(body).data.tags);
  const tags = '{"__proto__":"a","constructor":"b"}';
  const removed = Object.fromEntries(Object.keys((await get(id)).tags).map((name) => [name, null]));
  await patch(id, {tags: removed}, '*');
  const answer = await patch(id, {tags: JSON.parse(tags) as unknown}, '*');
  expect([answer.status, tagsOf(answer.body)]).toEqual([200, tags]);
  // From the shard, and from the cache.
  for (let read = 0; read < 2; read++) {
    expect(tagsOf((await cachedApi.call('GET', `/api/v1/devices/${id}`, {token: admin})).body)).toBe(tags);
  }
  const gone = await patch(id, {tags: JSON.parse('{"__proto__":null}') as unknown}, '*');
  expect(tagsOf(gone.body)).toBe('{"constructor":"b"}');
});

test('a change is refused to who has not seen the device as it is, with the ETag of what it is', async () => {
  const {id} = nextOf();
  const first = await get(id);
  expect((await patch(id, {name: 'one'}, undefined)).body).toMatchObject({status: 428, code: 'precondition-required'});
  expect((await patch(id, {name: 'one'}, '7')).status).toBe(400);
  expect((await patch(id, {name: 'one'}, `"${first.revision}"`)).status).toBe(200);
  const second = await get(id);
  for (const seen of [first.etag, `"${first.revision}"`, '"x"']) {
    const stale = await patch(id, {name: 'two'}, seen);
    expect(stale.body).toMatchObject({status: 412, code: 'precondition-failed'});
    expect(stale.headers.get('etag')).toBe(second.etag);
  }
  expect((await get(id)).name).toBe('one');
  // What is so already is no other change.
  expect((await patch(id, {name: 'one'}, first.etag)).headers.get('etag')).toBe(second.etag);
  expect((await patch(id, {name: null}, '*')).status).toBe(200);
  expect(await get(id)).toMatchObject({name: null, revision: second.revision + 1});
});

test.each<[string, unknown, string]>([
  ['nothing', {}, ''],
  ['what is not known', {name: 'x', status: 'late'}, '/status'],
  ['an empty name', {name: ''}, '/name'],
  ['a long name', {name: 'x'.repeat(129)}, '/name'],
  ['a name that is not seen', {name: '\u200b'}, '/name'],
  ['a name that turns what is beside it', {name: 'a\u202eb'}, '/name'],
  ['a name with a space at its end', {name: 'a '}, '/name'],
  ['a name that cannot be stored', {name: 'a\u0000'}, '/name'],
  ['a group that is not there', {group: 'nowhere'}, '/group'],
  ['no group', {group: null}, '/group'],
  ['a tag without a name', {tags: {'': 'x'}}, '/tags/'],
  ['a tag with a long name', {tags: {['k'.repeat(65)]: 'x'}}, `/tags/${'k'.repeat(40)}…`],
  ['a tag whose name is not seen', {tags: {'a/b\u200b': 'x'}}, '/tags/a~1b\u200b'],
  ['a tag whose name cannot be stored', {tags: {'\ud800': null}}, '/tags/\ud800'],
  ['a tag with a long value', {tags: {a: 'x'.repeat(257)}}, '/tags/a'],
  ['a tag with no text', {tags: {a: 7}}, '/tags/a'],
  ['too many tags at once', {tags: Object.fromEntries(Array.from({length: 65}, (_, n) => [`k${n}`, null]))}, '/tags'],
  ['too many tags', {tags: Object.fromEntries(Array.from({length: 32}, (_, n) => [`k${n}`, 'x']))}, '/tags'],
])('%s is a 400 that points at it, and changes nothing', async (_what, body, pointer) => {
  const [device] = devices.slice(-1);
  if (device === undefined) throw new Error('no device was seeded');
  const before = await get(device.id);
  const answer = await patch(device.id, body, '*');
  expect(answer.status).toBe(400);
  const {errors} = z.object({errors: z.array(z.object({pointer: z.string()}))}).parse(answer.body);
  expect([...new Set(errors.map((error) => error.pointer))]).toEqual([pointer]);
  expect(await get(device.id)).toEqual(before);
});

test('what a filter finds by a tag, a tag may be called', async () => {
  const {id} = nextOf();
  const key = 'floor "plan", 2.';
  expect((await patch(id, {tags: {[key]: 'a;b'}}, '*')).status).toBe(200);
  const filter = `tags.${JSON.stringify(key)}==${JSON.stringify('a;b')}`;
  const found = await api.call('GET', `/api/v1/devices?filter=${encodeURIComponent(filter)}`, {token: admin});
  expect(found.body).toMatchObject({data: [{id}]});
});

test('who is for some groups changes their devices alone, and moves one only between groups that are his', async () => {
  const {id} = nextOf('north');
  const {id: foreign} = nextOf('south');
  const [north, both] = [
    await seedApiToken(region.shards, 'admin', ['north']),
    await seedApiToken(region.shards, 'admin', ['north', 'south']),
  ];
  for (const action of ['revoke', 'decommission', 'reinstate'])
    expect((await post(foreign, action, north)).status).toBe(404);
  expect((await patch(foreign, {name: 'x'}, '*', north)).status).toBe(404);
  expect((await patch(foreign, {group: 'north'}, '*', north)).status).toBe(404);
  // As a group that is not there: he does not learn that it is.
  const refused = [await patch(id, {group: 'south'}, '*', north), await patch(id, {group: 'nowhere'}, '*', north)];
  expect(refused.map(({status, body}) => ({status, body: {...(body as object), instance: ''}}))).toEqual(
    new Array(2).fill({
      status: 400,
      body: expect.objectContaining({errors: [{pointer: '/group', detail: 'there is no such group'}]}) as unknown,
    }),
  );
  expect((await patch(id, {group: 'south'}, '*', both)).status).toBe(200);
  expect((await patch(id, {name: 'x'}, '*', north)).status).toBe(404);
  const list = await api.call('GET', `/api/v1/devices?q=${id}`, {token: north});
  expect(list.body).toMatchObject({data: []});
});

test('a device is shut out, taken out of service and let in again; each is told to all processes, however often it is said', async () => {
  const {id} = nextOf();
  const heard: string[] = [];
  cache.subscribe(CACHE_CHANNEL.revoked, (deviceId) => heard.push(deviceId));
  await until('the channel to be heard', async () => {
    await cache.use((redis) => redis.publish(CACHE_CHANNEL.revoked, 'a try'));
    return heard.includes('a try');
  });
  const {revision} = await get(id, cachedApi);
  const now = expect.any(String) as unknown;
  for (const [action, expected] of [
    ['revoke', {revokedAt: now, decommissionedAt: null, revision: revision + 1}],
    ['decommission', {revokedAt: now, decommissionedAt: now, revision: revision + 2}],
    ['revoke', {revokedAt: now, decommissionedAt: now, revision: revision + 2}],
    ['reinstate', {revokedAt: null, decommissionedAt: null, revision: revision + 3}],
  ] as const) {
    for (let time = 0; time < 2; time++) {
      heard.length = 0;
      await cache.use((redis) => redis.set(cacheKey.credential(id), 'of before', 'EX', 60));
      const answer = await post(id, action, admin, cachedApi);
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({data: expected});
      await until('all processes to hear of it', () => heard.includes(id));
      expect(await get(id, cachedApi)).toMatchObject(expected);
      const kept = () => cache.use((redis) => redis.get(cacheKey.credential(id)));
      await until('the old credential to be gone', kept, (text) => text === CHANGED_CREDENTIAL);
    }
    const isIn = action === 'reinstate';
    const sync = await cachedApi.call('POST', `/api/v1/devices/${id}/sync`, {token: admin, body: {}});
    expect(sync.status).toBe(isIn ? 202 : 409);
    for (const flag of action === 'decommission' ? ['revoked', 'decommissioned'] : ['revoked']) {
      const found = await api.call('GET', `/api/v1/devices?filter=${flag}==true;id==${id}`, {token: admin});
      expect(found.body).toMatchObject({data: isIn ? [] : [{id}]});
    }
  }
});

test('a device that is not there is not changed', async () => {
  const id = '00000000-0000-4000-8000-000000000000';
  for (const action of ['revoke', 'decommission', 'reinstate']) expect((await post(id, action)).status).toBe(404);
  expect((await patch(id, {name: 'x'}, '*')).status).toBe(404);
});

test('while somebody holds a device a change of it is a 503 that says when to come back', async () => {
  const {id, shard} = nextOf();
  const holder = await region.shards.pool(shard, 'job').connect();
  try {
    await holder.query('begin');
    await holder.query('select from device where device_id = $1 for update', [id]);
    const answer = await post(id, 'revoke');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('3');
  } finally {
    await holder.query('rollback');
    holder.release();
  }
  expect((await post(id, 'revoke')).status).toBe(200);
});

/** Groups as people make, change and delete them, and what a dynamic one is good for. */
import {afterAll, beforeAll, describe, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import {type SeededDevice, seedApiToken, seedDevices} from '../testing/seed.ts';
import {type Answer, startTestApi, type TestApi} from '../testing/test-api.ts';
import {openWithoutShard1} from '../testing/without-shard.ts';

jest.setTimeout(60_000);

const PATH = '/api/v1/groups';
const NOTHING = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
const WITHOUT_CACHE = {cache: {use: () => Promise.resolve(undefined)}} as const;

let region: TestShards;
let api: TestApi;
let devices: readonly SeededDevice[];
let admin: string;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  devices = await seedDevices(region.shards, 48);
  admin = await seedApiToken(region.shards, 'admin');
  api = await startTestApi({shards: region.shards, ...WITHOUT_CACHE});
});

afterAll(async () => {
  await api.close();
  await region.close();
});

const oneSchema = z.object({
  data: z.object({
    id: z.int(),
    name: z.string(),
    kind: z.string(),
    filter: z.string().nullable(),
    revision: z.int(),
    count: z.looseObject({value: z.int(), exact: z.boolean(), atLeast: z.boolean(), byStatus: z.unknown()}),
  }),
});
const get = (path: string, token = admin): Promise<Answer> => api.call('GET', path, {token});
const post = (path: string, body: unknown, token = admin): Promise<Answer> => api.call('POST', path, {token, body});
const patch = (id: number, body: unknown, ifMatch = '*', token = admin): Promise<Answer> =>
  api.call('PATCH', `${PATH}/${id}`, {token, body, headers: {'if-match': ifMatch}});
const remove = (id: number, token = admin): Promise<Answer> => api.call('DELETE', `${PATH}/${id}`, {token});

const make = async (name: string, filter: string | null = null) => {
  const answer = await post(PATH, {name, filter});
  expect(answer.status).toBe(201);
  return oneSchema.parse(answer.body).data;
};
const group = async (id: number, token = admin) => {
  const answer = await get(`${PATH}/${id}`, token);
  expect(answer.status).toBe(200);
  return {etag: answer.headers.get('etag') ?? '', ...oneSchema.parse(answer.body).data};
};
const move = async (device: string, to: string): Promise<Answer> =>
  api.call('PATCH', `/api/v1/devices/${device}`, {token: admin, body: {group: to}, headers: {'if-match': '*'}});

const listSchema = z.object({
  data: z.array(z.looseObject({id: z.union([z.int(), z.uuid()]), name: z.string().nullable().optional()})),
  nextCursor: z.string().nullable(),
});
/** What all pages of a list have. */
const all = async (path: string, token = admin) => {
  const rows: z.infer<typeof listSchema>['data'] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: z.infer<typeof listSchema> = listSchema.parse(
      (await get(`${path}${cursor === '' ? '' : `&cursor=${cursor}`}`, token)).body,
    );
    rows.push(...page.data);
    cursor = page.nextCursor;
  }
  return rows;
};
const idsOf = async (query: Readonly<Record<string, string>>, token = admin): Promise<readonly unknown[]> => {
  const found = await all(`/api/v1/devices?${new URLSearchParams({limit: '3', ...query}).toString()}`, token);
  return found.map(({id}) => id).sort();
};
const idsWhere = (fits: (device: SeededDevice) => boolean): readonly string[] =>
  devices
    .filter(fits)
    .map(({id}) => id)
    .sort();

describe('a static group', () => {
  test('is made, counted by status, renamed and deleted, and the audit tells it', async () => {
    const pond = await make('pond');
    expect(pond).toMatchObject({
      ...{name: 'pond', kind: 'static', filter: null, revision: 1},
      count: {value: 0, exact: true, atLeast: false, byStatus: NOTHING},
    });
    const silent = devices.find(({status, group: of}) => status === 'silent' && of === 'south');
    if (silent === undefined) throw new Error('no silent device was seeded');
    expect((await move(silent.id, 'pond')).status).toBe(200);
    const counted = await group(pond.id);
    expect(counted.count).toMatchObject({value: 1, exact: true, byStatus: {...NOTHING, silent: 1}});
    // By its revision it is the same, by what it has it is another.
    expect(counted.etag).toMatch(/^W\/"1\./);
    const known = await api.call('GET', `${PATH}/${pond.id}`, {token: admin, headers: {'if-none-match': counted.etag}});
    expect(known.status).toBe(304);

    const unconditional = await api.call('PATCH', `${PATH}/${pond.id}`, {token: admin, body: {name: 'lake'}});
    expect(unconditional.body).toMatchObject({status: 428});
    const renamed = await patch(pond.id, {name: 'lake'}, counted.etag);
    expect(oneSchema.parse(renamed.body).data).toMatchObject({name: 'lake', revision: 2});
    // At once, in this process.
    expect((await get(`/api/v1/devices/${silent.id}`)).body).toMatchObject({data: {group: 'lake'}});
    expect(await idsOf({filter: 'group==lake'})).toEqual([silent.id]);
    expect(await idsOf({filter: 'group==pond'})).toEqual([]);
    const late = await patch(pond.id, {name: 'sea'}, counted.etag);
    expect(late.body).toMatchObject({status: 412, code: 'precondition-failed'});
    expect(late.headers.get('etag')).toBe((await group(pond.id)).etag);
    // What is so already is no other change.
    expect((await patch(pond.id, {name: 'lake'}, counted.etag)).status).toBe(200);

    expect((await remove(pond.id)).body).toMatchObject({
      status: 409,
      detail: `The group ${pond.id} stays: 1 device is in it. Move them to another group first.`,
    });
    expect((await move(silent.id, 'south')).status).toBe(200);
    for (let again = 0; again < 2; again++) expect((await remove(pond.id)).status).toBe(204);
    expect((await get(`${PATH}/${pond.id}`)).status).toBe(404);
    expect((await patch(pond.id, {name: 'x'})).status).toBe(404);
    expect((await move(silent.id, 'lake')).body).toMatchObject({status: 400, errors: [{pointer: '/group'}]});

    const told = await get(`/api/v1/audit?objectId=${pond.id}`);
    expect(told.body).toMatchObject({
      data: [
        {action: 'group.delete', objectKind: 'group', groups: ['lake (deleted)'], before: {name: 'lake'}, after: null},
        {action: 'group.change', before: {name: 'pond'}, after: {name: 'lake'}},
        {action: 'group.create', actor: 'test admin', before: null, after: {name: 'pond'}},
      ],
    });
    expect((told.body as {data: unknown[]}).data).toHaveLength(3);
    // The name is free, and the number is not.
    expect((await make('lake')).id).not.toBe(pond.id);
  });

  test('stays while tokens that work are for it, or a dynamic group asks for it', async () => {
    const {id} = await make('guarded');
    const enrolment = await post('/api/v1/enrolment-tokens', {name: 'n', group: 'guarded'});
    const token = await post('/api/v1/api-tokens', {name: 'n', role: 'viewer', groups: ['guarded']});
    const asking = await make('asking', 'group==guarded;status==late');
    const madeId = ({body}: Answer): string => z.object({data: z.object({id: z.string()})}).parse(body).data.id;
    const refusal = async (): Promise<unknown> => (await remove(id)).body;
    expect(await refusal()).toMatchObject({
      status: 409,
      detail: `The group ${id} stays: 1 enrolment token is for it; revoke it. And 1 API token is for it; revoke it. And "asking" asks for it; change its filter.`,
    });
    await api.call('DELETE', `/api/v1/enrolment-tokens/${madeId(enrolment)}`, {token: admin});
    await api.call('DELETE', `/api/v1/api-tokens/${madeId(token)}`, {token: admin});
    expect(await refusal()).toMatchObject({detail: expect.stringMatching(/stays: "asking" asks for it/) as unknown});
    expect((await patch(asking.id, {filter: 'group==south;status==late'})).status).toBe(200);
    expect((await remove(id)).status).toBe(204);
    // A token that was revoked is shown as what it was.
    expect((await get(`/api/v1/enrolment-tokens/${madeId(enrolment)}`)).body).toMatchObject({data: {group: 'guarded'}});
    expect((await remove(asking.id)).status).toBe(204);
  });

  test('which devices with the token of the Secret come into has another name, and stays', async () => {
    expect((await patch(1, {name: 'everything'})).status).toBe(200);
    expect((await patch(1, {name: 'default'})).status).toBe(200);
    expect((await remove(1)).body).toMatchObject({status: 409, detail: expect.stringMatching(/Secret/) as unknown});
  });

  test('stays while a shard does not say whether it has devices of it', async () => {
    const shards = await openWithoutShard1(region);
    const impaired = await startTestApi({shards, ...WITHOUT_CACHE});
    try {
      const {id} = await make('unknown');
      const answer = await impaired.call('DELETE', `${PATH}/${id}`, {token: admin});
      expect(answer.body).toMatchObject({status: 503, code: 'shard-unavailable'});
      expect(answer.headers.get('retry-after')).not.toBeNull();
      expect((await group(id)).name).toBe('unknown');
      const dynamic = await make('all of them', 'status==on_time');
      const counted = await impaired.call('GET', `${PATH}/${dynamic.id}`, {token: admin});
      const here = devices.filter(({status, shard}) => status === 'on_time' && shard === 0).length;
      expect(counted.body).toMatchObject({data: {count: {value: here, exact: false, atLeast: true}}});
      for (const one of [id, dynamic.id]) expect((await remove(one)).status).toBe(204);
    } finally {
      await impaired.close();
      await shards.close();
    }
  });
});

describe('a dynamic group', () => {
  test('has the devices that its filter finds, in every list, and follows the names of the groups that it asks for', async () => {
    const co = 'north & "co"';
    const isIn = ({group: of, status}: SeededDevice): boolean => (of === 'north' || of === co) && status !== 'silent';
    const dry = await make(
      'dry',
      ` group=in=(north, ${JSON.stringify(co)}) ; status=in=(late,on_time,pending,failing)`,
    );
    const shown = (north: string): string =>
      `group=in=(${north},${JSON.stringify(co)});status=in=(late,on_time,pending,failing)`;
    expect(dry).toMatchObject({kind: 'dynamic', filter: shown('north'), revision: 1});
    const expected = idsWhere(isIn);
    const late = devices.filter((device) => isIn(device) && device.status === 'late').length;
    expect(dry.count).toMatchObject({value: expected.length, exact: true, byStatus: {silent: 0, late}});

    expect(await idsOf({group: 'dry'})).toEqual(expected);
    expect(await idsOf({group: 'dry', sort: '-name'})).toEqual(expected);
    expect(await idsOf({filter: 'group==dry;status==late'})).toHaveLength(late);
    expect(await idsOf({filter: 'group=in=(dry,south)'})).toEqual(
      idsWhere((one) => isIn(one) || one.group === 'south'),
    );
    expect(await idsOf({filter: 'group!=dry', status: 'on_time'})).toEqual(
      idsWhere((one) => !isIn(one) && one.status === 'on_time'),
    );
    const counted = await get('/api/v1/devices?group=dry&count=true&limit=1');
    expect(counted.body).toMatchObject({count: {value: expected.length, exact: true}});

    const id = (await all(`${PATH}?fields=name`)).find(({name}) => name === 'north')?.id;
    expect((await patch(Number(id), {name: 'north pole'})).status).toBe(200);
    expect((await group(dry.id)).filter).toBe(shown('"north pole"'));
    expect(await idsOf({group: 'dry'})).toEqual(expected);
    expect((await patch(Number(id), {name: 'north'})).status).toBe(200);
    expect((await remove(dry.id)).status).toBe(204);
  });

  test('leaves out what it asks for nothing of: who never synced is not of those who synced lately', async () => {
    const {id} = await make('seen', 'lastSync>-P1D');
    expect(await idsOf({filter: 'group!=seen;status==pending'})).toEqual(idsWhere(({status}) => status === 'pending'));
    expect((await remove(id)).status).toBe(204);
  });

  test('asks for something else from one moment to the other, and a list that was begun before ends', async () => {
    const {id} = await make('changing', 'status==late');
    const first = await get('/api/v1/devices?group=changing&limit=1');
    const {nextCursor} = listSchema.parse(first.body);
    const before = await group(id);
    const changed = await patch(id, {filter: 'status==silent'}, before.etag);
    expect(oneSchema.parse(changed.body).data).toMatchObject({
      ...{filter: 'status==silent', revision: 2},
      count: {value: devices.filter(({status}) => status === 'silent').length, exact: true},
    });
    expect(await idsOf({group: 'changing'})).toEqual(idsWhere(({status}) => status === 'silent'));
    expect((await get(`/api/v1/devices?group=changing&limit=1&cursor=${String(nextCursor)}`)).body).toMatchObject({
      status: 400,
      errors: [{pointer: '/cursor'}],
    });
    expect((await patch(id, {filter: 'status==late'}, before.etag)).status).toBe(412);
    // However it is written.
    expect((await patch(id, {filter: "status=='silent'"}, before.etag)).status).toBe(200);
    expect((await get(`/api/v1/audit?objectId=${id}&action=group.change`)).body).toMatchObject({
      data: [{groups: null, before: {filter: 'status==late'}, after: {filter: 'status==silent'}}],
    });
    expect((await remove(id)).status).toBe(204);
  });

  test('is for looking alone: no device is in it, no token is for it, and who has a token for some groups does not know of it', async () => {
    const {id} = await make('looking', 'group==north;status==late');
    const isDynamic = (pointer: string) => ({
      status: 400,
      errors: [{pointer, detail: expect.stringMatching(/dynamic group/) as unknown}],
    });
    expect((await move(devices[0]?.id ?? '', 'looking')).body).toMatchObject(isDynamic('/group'));
    const enrolment = {name: 'n', group: 'looking'};
    expect((await post('/api/v1/enrolment-tokens', enrolment)).body).toMatchObject(isDynamic('/group'));
    const scoped = {name: 'n', role: 'viewer', groups: ['north', 'looking']};
    expect((await post('/api/v1/api-tokens', scoped)).body).toMatchObject(isDynamic('/groups/1'));

    const north = await seedApiToken(region.shards, 'admin', ['north']);
    expect((await get(`${PATH}/${id}`, north)).status).toBe(404);
    expect((await all(`${PATH}?fields=name`, north)).map(({name}) => name)).toEqual(['north']);
    expect(await idsOf({group: 'looking'}, north)).toEqual([]);
    expect(await idsOf({filter: 'group!=looking'}, north)).toEqual(idsWhere((one) => one.group === 'north'));
    expect((await post('/api/v1/enrolment-tokens', enrolment, north)).body).toMatchObject({
      errors: [{pointer: '/group', detail: 'there is no such group'}],
    });
    expect((await get('/api/v1/audit?objectKind=group', north)).body).toMatchObject({
      data: expect.not.arrayContaining([expect.objectContaining({objectId: String(id)})]) as unknown,
    });
    expect((await remove(id)).status).toBe(204);
  });
});

test('the list goes by name, page by page, of one kind or both, and counts only where it is asked to', async () => {
  const made = [await make('Zoo'), await make('äpfel'), await make('b', 'status==late'), await make('c', 'shard==0')];
  const names = async (query = ''): Promise<readonly unknown[]> =>
    (await all(`${PATH}?limit=2${query}`)).map(({name}) => name);
  const every = await names();
  // By their bytes.
  expect(every).toEqual([...every].sort());
  expect(every).toEqual(expect.arrayContaining(['Zoo', 'b', 'c', 'default', 'north', 'äpfel']));
  expect(await names('&kind=dynamic')).toEqual(['b', 'c']);
  expect(await names('&kind=static')).toEqual(every.filter((name) => name !== 'b' && name !== 'c'));
  const [first] = await all(`${PATH}?kind=dynamic&limit=1&fields=name,kind`);
  expect(first).toEqual({id: made[2]?.id, name: 'b', kind: 'dynamic'});
  const counted = await all(`${PATH}?limit=500`);
  const sum = counted
    .filter(({kind}) => kind === 'static')
    .reduce((total, {count}) => total + z.looseObject({value: z.int()}).parse(count).value, 0);
  expect(sum).toBe(devices.length);
  expect((await get(`${PATH}?fields=devices`)).body).toMatchObject({status: 400, errors: [{pointer: '/fields'}]});
  const {nextCursor} = listSchema.parse((await get(`${PATH}?limit=1`)).body);
  expect((await get(`${PATH}?limit=1&kind=static&cursor=${String(nextCursor)}`)).body).toMatchObject({
    status: 400,
    errors: [{pointer: '/cursor'}],
  });
  for (const {id} of made) expect((await remove(id)).status).toBe(204);
});

describe('what cannot be a group', () => {
  beforeAll(async () => {
    await make('some', 'status==late');
  });

  test.each<[string, unknown, string, number | undefined]>([
    ['no name', {}, '/name', undefined],
    ['an empty name', {name: ''}, '/name', undefined],
    ['a long name', {name: 'x'.repeat(65)}, '/name', undefined],
    ['a name that is not seen', {name: '\u200b'}, '/name', undefined],
    ['a name with a space at its end', {name: 'a '}, '/name', undefined],
    ['what is not known', {name: 'a', devices: 3}, '/devices', undefined],
    ['a filter that asks for nothing', {name: 'a', filter: ' '}, '/filter', undefined],
    ['a filter that no list could have', {name: 'a', filter: 'status==late;'}, '/filter', 14],
    ['a field that is not known', {name: 'a', filter: 'status==late;colour==red'}, '/filter', 14],
    ['a status that is not known', {name: 'a', filter: 'status==dead'}, '/filter', 9],
    ['a filter that would look at every device', {name: 'a', filter: 'name!=x'}, '/filter', undefined],
    [
      'a filter that asks for a group that is not there',
      {name: 'a', filter: 'group=in=(north,nowhere)'},
      '/filter',
      17,
    ],
    ['a filter that asks for a dynamic group', {name: 'a', filter: 'status==late;group!=some'}, '/filter', 21],
    ['a long filter', {name: 'a', filter: `name==${'x'.repeat(2000)}`}, '/filter', 2001],
  ])('%s is refused', async (_what, body, pointer, character) => {
    const refused = await post(PATH, body);
    expect(refused.body).toMatchObject({
      status: 400,
      errors: expect.arrayContaining([
        expect.objectContaining({pointer, ...(character === undefined ? {} : {character})}),
      ]) as unknown,
    });
  });
});

test('a name has one group, a static group no filter, and a number that is none finds nothing', async () => {
  const [one, two] = [await make('one'), await make('two', 'status==late')];
  const taken = {status: 409, errors: [{pointer: '/name'}]};
  expect((await post(PATH, {name: 'one', filter: 'status==late'})).body).toMatchObject(taken);
  expect((await patch(two.id, {name: 'one'})).body).toMatchObject(taken);
  expect((await patch(one.id, {filter: 'status==late'})).body).toMatchObject({
    status: 400,
    errors: [{pointer: '/filter'}],
  });
  expect((await patch(two.id, {filter: null})).status).toBe(400);
  expect((await patch(two.id, {})).status).toBe(400);
  for (const id of ['0', 'x', '2147483648', '99999999999']) expect((await get(`${PATH}/${id}`)).status).toBe(400);
  expect((await get(`${PATH}/2147483647`)).status).toBe(404);
  for (const {id} of [one, two]) expect((await remove(id)).status).toBe(204);
});

test('a call that is repeated makes no second group, and says which one it made', async () => {
  const call = (name: string) =>
    api.call('POST', PATH, {token: admin, body: {name}, headers: {'idempotency-key': 'once'}});
  const made = oneSchema.parse((await call('once')).body).data;
  for (const name of ['once', 'twice'])
    expect((await call(name)).body).toMatchObject({
      status: 409,
      id: made.id,
      detail: expect.stringMatching(/Idempotency/) as unknown,
    });
  expect((await get(`/api/v1/audit?objectId=${made.id}`)).body).toMatchObject({data: [{action: 'group.create'}]});
  expect((await remove(made.id)).status).toBe(204);
});

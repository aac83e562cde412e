import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {findApiToken, findEnrolmentToken, takePlace, tokenHash} from '@pisync/core/devices/tokens';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import {agentCommand} from './agent-command.ts';
import {ensureGroup, seedApiToken} from '../testing/seed.ts';
import {type Answer, startTestApi, type TestApi} from '../testing/test-api.ts';

const NO_CACHE = {use: () => Promise.resolve(undefined)};
const KINDS = ['enrolment-tokens', 'api-tokens'] as const;
type Kind = (typeof KINDS)[number];

const BODIES = {
  'enrolment-tokens': {name: 'for the pond', group: 'pond'},
  'api-tokens': {name: 'for the pond', role: 'viewer', groups: ['pond']},
} as const;

const madeSchema = z.object({
  token: z.string(),
  command: z.string().nullish(),
  data: z.looseObject({id: z.string(), state: z.string()}),
});
const pageSchema = z.object({data: z.array(z.looseObject({id: z.string()})), nextCursor: z.string().nullable()});

let region: TestShards;
let api: TestApi;
let admin: string;
/** Of the Secret. */
const secret = randomUUID();

beforeAll(async () => {
  region = await createTestShards({shards: 1});
  for (const group of ['pond', 'lake']) await ensureGroup(region.shards, group);
  admin = await seedApiToken(region.shards, 'admin');
  api = await startTestApi({
    shards: region.shards,
    cache: NO_CACHE,
    deviceHost: 'eu.sync.example.com',
    adminToken: secret,
  });
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
}, 30_000);

const post = (kind: Kind, body: unknown, options: Parameters<TestApi['call']>[2] = {}): Promise<Answer> =>
  api.call('POST', `/api/v1/${kind}`, {token: admin, ...options, body});
const make = async (kind: Kind, body: unknown = BODIES[kind], options: Parameters<TestApi['call']>[2] = {}) => {
  const answer = await post(kind, body, options);
  expect(answer.status).toBe(201);
  return madeSchema.parse(answer.body);
};
const show = async (kind: Kind, id: string): Promise<unknown> =>
  (await api.call('GET', `/api/v1/${kind}/${id}`, {token: admin})).body;
const revoke = async (kind: Kind, id: string, token = admin): Promise<number> =>
  (await api.call('DELETE', `/api/v1/${kind}/${id}`, {token})).status;
const update = (kind: Kind, id: string, change: string): Promise<unknown> =>
  region.shards
    .control('job')
    .query(
      `update control.${kind === 'api-tokens' ? 'api_token' : 'enrolment_token'} set ${change} where token_id = $1`,
      [id],
    );

describe.each(KINDS)('%s', (kind) => {
  const find = kind === 'api-tokens' ? findApiToken : findEnrolmentToken;

  test('are made, shown once, found by who looks them up, and listed newest first', async () => {
    const first = await make(kind);
    const second = await make(kind);
    expect(first.token).toMatch(kind === 'api-tokens' ? /^psa_[\w-]{43}$/ : /^pse_[\w-]{43}$/);
    expect(await find(region.shards, tokenHash(first.token))).toBeDefined();
    expect(first.data).toMatchObject({name: 'for the pond', state: 'valid', createdBy: 'test admin', revokedAt: null});
    expect(await show(kind, first.data.id)).toEqual({data: first.data});
    const {body} = await api.call('GET', `/api/v1/${kind}`, {token: admin});
    expect(pageSchema.parse(body).data.slice(0, 2)).toEqual([second.data, first.data]);
    for (const shown of [body, await show(kind, first.data.id)]) {
      for (const secret of [first.token, tokenHash(first.token).toString('hex')]) {
        expect(JSON.stringify(shown)).not.toContain(secret);
      }
    }
  });

  test('are paged without gaps or repeats, with the fields that are asked for', async () => {
    for (let more = 0; more < 5; more++) await make(kind);
    const whole = pageSchema.parse((await api.call('GET', `/api/v1/${kind}?limit=500`, {token: admin})).body);
    const paged: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query: string = `limit=2&fields=state${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const page = pageSchema.parse((await api.call('GET', `/api/v1/${kind}?${query}`, {token: admin})).body);
      paged.push(...page.data);
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(whole.data.map(({id, state}) => ({id, state})));
    const unknown = await api.call('GET', `/api/v1/${kind}?fields=token_hash`, {token: admin});
    expect(unknown).toMatchObject({status: 400, body: {errors: [{pointer: '/fields'}]}});
  });

  test('expire, and are revoked once and for good', async () => {
    const {token, data} = await make(kind, {...BODIES[kind], expiresAt: '2999-01-01T00:00:00+02:00'});
    expect(data).toMatchObject({expiresAt: '2998-12-31T22:00:00.000Z'});
    await update(kind, data.id, `expires_at = now() - interval '1 ms'`);
    expect(await find(region.shards, tokenHash(token))).toBeUndefined();
    expect(await show(kind, data.id)).toMatchObject({data: {state: 'expired'}});
    expect(await revoke(kind, data.id)).toBe(204);
    const revoked = await show(kind, data.id);
    expect(revoked).toMatchObject({data: {state: 'revoked', revokedAt: expect.any(String)}});
    expect(await revoke(kind, data.id)).toBe(204);
    expect(await show(kind, data.id)).toEqual(revoked);
    expect(await revoke(kind, randomUUID())).toBe(404);
  });

  test('are made once by a call that is repeated, and the repetition is told which', async () => {
    const headers = {'idempotency-key': randomUUID()};
    const answers = await Promise.all(Array.from({length: 5}, () => post(kind, BODIES[kind], {headers})));
    const made = answers.filter(({status}) => status === 201).map(({body}) => madeSchema.parse(body).data.id);
    expect(made).toHaveLength(1);
    for (const {status, body} of [...answers, await post(kind, BODIES[kind], {headers})]) {
      if (status !== 201) expect({status, body}).toMatchObject({status: 409, body: {code: 'conflict', id: made[0]}});
    }
    // The keys of two callers have nothing to do with each other.
    const token = await seedApiToken(region.shards, 'admin');
    expect(madeSchema.parse((await post(kind, BODIES[kind], {headers, token})).body).data.id).not.toBe(made[0]);
    for (const key of ['', 'a b', 'x'.repeat(129)]) {
      expect((await post(kind, BODIES[kind], {headers: {'idempotency-key': key}})).status).toBe(400);
    }
  });

  test.each<[string, object]>([
    ['/name', {name: ' '}],
    ['/name', {name: 'a\0b'}],
    ['/name', {name: 'a\nb'}],
    ['/name', {name: '\u202emoor'}],
    ['/name', {name: '\u200b'}],
    ['/name', {name: 'a'.repeat(65)}],
    ['/name', {name: 'bootstrap'}],
    ['/name', {name: 'ＢootStrap '}],
    ['/expiresAt', {expiresAt: '2020-01-01T00:00:00Z'}],
    ['/expiresAt', {expiresAt: 'tomorrow'}],
    ['/expiresAt', {expiresAt: '9999-12-31T23:59:59-23:59'}],
    ['/revoked', {revoked: true}],
  ])('are not made with a wrong %s', async (pointer, wrong) => {
    const answer = await post(kind, {...BODIES[kind], ...wrong});
    expect(answer).toMatchObject({status: 400, body: {errors: [{pointer}]}});
  });
});

test.each<[Kind, string, object]>([
  ['enrolment-tokens', '/group', {group: 'nowhere'}],
  ['enrolment-tokens', '/group', {group: 'a\0b'}],
  ['enrolment-tokens', '/maxDevices', {maxDevices: 0}],
  ['api-tokens', '/groups/1', {groups: ['pond', 'nowhere']}],
  ['api-tokens', '/groups', {groups: []}],
  ['api-tokens', '/role', {role: 'root'}],
])('%s are not made with a wrong %s', async (kind, pointer, wrong) => {
  const answer = await post(kind, {...BODIES[kind], ...wrong});
  expect(answer).toMatchObject({status: 400, body: {errors: [{pointer}]}});
});

test('an enrolment token says how many devices it let in, and that there is no room for more', async () => {
  const {token, data} = await make('enrolment-tokens', {...BODIES['enrolment-tokens'], maxDevices: 2});
  const letIn = (): Promise<boolean> => takePlace(region.shards, tokenHash(token), randomUUID());
  expect(await letIn()).toBe(true);
  expect(await show('enrolment-tokens', data.id)).toMatchObject({data: {group: 'pond', devices: 1, state: 'valid'}});
  expect([await letIn(), await letIn()]).toEqual([true, false]);
  expect(await show('enrolment-tokens', data.id)).toMatchObject({data: {devices: 2, maxDevices: 2, state: 'used-up'}});
});

test.each(['http', 'https'])(
  'the command for a device leads to its host, as the caller reached his over %s',
  async (scheme) => {
    const {command, token} = await make('enrolment-tokens', undefined, {headers: {'x-forwarded-proto': scheme}});
    expect(command).toBe(agentCommand(token, `${scheme}://eu.sync.example.com:${api.port}`));
  },
);

test('there is no command where devices have no host', async () => {
  const without = await startTestApi({shards: region.shards, cache: NO_CACHE});
  try {
    const body = BODIES['enrolment-tokens'];
    const answer = await without.call('POST', '/api/v1/enrolment-tokens', {token: admin, body});
    expect(madeSchema.parse(answer.body).command).toBeNull();
  } finally {
    await without.close();
  }
});

test('a revoked API token, and a session that was made with it, end within five seconds at every process', async () => {
  let nowMs = 0;
  const monotonic = (): number => nowMs;
  const neighbour = await startTestApi({shards: region.shards, cache: NO_CACHE, freshMs: 5_000, monotonic});
  try {
    const {token, data} = await make('api-tokens');
    const signIn = await neighbour.call('POST', '/api/v1/session', {body: {token}});
    const cookie = signIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const statuses = async (): Promise<readonly number[]> => {
      const answers = [{token}, {headers: {cookie}}].map((who) => neighbour.call('GET', '/api/v1/session', who));
      return (await Promise.all(answers)).map(({status}) => status);
    };
    expect(await statuses()).toEqual([200, 200]);
    expect(await revoke('api-tokens', data.id)).toBe(204);
    nowMs = 5_000;
    expect(await statuses()).toEqual([401, 401]);
  } finally {
    await neighbour.close();
  }
});

test.each(KINDS)('nobody makes one of the %s that lasts longer than his own', async (kind) => {
  const expiresAt = '2999-01-01T00:00:00.000Z';
  const {token} = await make('api-tokens', {name: 'for a while', role: 'admin', expiresAt});
  expect((await make(kind, BODIES[kind], {token})).data).toMatchObject({expiresAt});
  expect((await make(kind, {...BODIES[kind], expiresAt}, {token})).data).toMatchObject({expiresAt});
  const longer = await post(kind, {...BODIES[kind], expiresAt: '2999-01-01T00:00:00.001Z'}, {token});
  expect(longer).toMatchObject({status: 400, body: {errors: [{pointer: '/expiresAt'}]}});
});

test('nobody makes an API token with more than he has himself', async () => {
  const scoped = await make('api-tokens', {name: 'pond admin', role: 'admin', groups: ['pond']});
  const as = {token: scoped.token};
  expect((await api.call('GET', '/api/v1/session', as)).body).toMatchObject({name: 'pond admin', groups: ['pond']});
  const {data} = await make('api-tokens', {name: 'like me', role: 'admin'}, as);
  expect(data).toMatchObject({groups: ['pond'], createdBy: 'pond admin'});
  const wider = await post('api-tokens', {name: 'wider', role: 'viewer', groups: ['pond', 'lake']}, as);
  expect(wider).toMatchObject({status: 400, body: {errors: [{pointer: '/groups/1'}]}});
  // Of those that know of more it knows nothing.
  const all = await make('api-tokens', {name: 'all', role: 'viewer'});
  expect(all.data).toMatchObject({groups: null});
  expect(await revoke('api-tokens', all.data.id, scoped.token)).toBe(404);
});

test('a family has the calls of ten tokens, however many it makes, and one that loops takes nothing from the others', async () => {
  const {token: root} = await make('api-tokens', {name: 'root', role: 'admin'}, {token: secret});
  const family = [root];
  for (let more = 0; more < 14; more++) {
    const body = {...BODIES['api-tokens'], role: 'admin'};
    family.push((await make('api-tokens', body, {token: family[more >> 1] ?? ''})).token);
  }
  const strict = await startTestApi({
    ...{shards: region.shards, cache: NO_CACHE, adminToken: secret},
    ...{callsPerMinute: 3, monotonic: () => 0},
  });
  try {
    const answered = async (token: string, calls: number): Promise<number> => {
      let count = 0;
      for (let call = 0; call < calls; call++) {
        const {status, headers} = await strict.call('GET', '/api/v1/session', {token});
        if (status === 200) count += 1;
        else expect([status, headers.get('ratelimit-remaining'), headers.has('retry-after')]).toEqual([429, '0', true]);
      }
      return count;
    };
    expect(await answered(family.at(-1) ?? '', 40)).toBe(3);
    let count = 0;
    for (const token of family) count += await answered(token, 4);
    expect(count).toBe(27);
    expect([await answered(admin, 4), await answered(secret, 4)]).toEqual([3, 3]);
  } finally {
    await strict.close();
  }
});

describe.each(KINDS)('of %s', (kind) => {
  const table = kind === 'api-tokens' ? 'control.api_token' : 'control.enrolment_token';
  const own = kind === 'api-tokens' ? ['role', 'viewer'] : ['group_id', '1'];
  const add = (count: number, rootId: string | null): Promise<unknown> =>
    region.shards.control('job').query(
      `insert into ${table} (token_hash, token_id, name, created_by, root_id, ${own[0] ?? ''})
       select uuid_send(gen_random_uuid()), gen_random_uuid(), 'one of many', 'test', $2, $3 from generate_series(1, $1)`,
      [count, rootId, own[1]],
    );
  const leave = (change: string): Promise<unknown> =>
    region.shards.control('job').query(`update ${table} set ${change} where name = 'one of many'`);
  const removed = (): Promise<unknown> =>
    region.shards.control('job').query(`delete from ${table} where name = 'one of many'`);
  const FULL: unknown = expect.objectContaining({status: 409, body: expect.objectContaining({code: 'conflict'})});

  test('a family makes a thousand, with whichever of its tokens, and others go on', async () => {
    const {token: root, data} = await make('api-tokens', {name: 'root', role: 'admin'}, {token: secret});
    const {token: child} = await make('api-tokens', {name: 'child', role: 'admin'}, {token: root});
    const {token: grandchild} = await make('api-tokens', {name: 'grandchild', role: 'admin'}, {token: child});
    try {
      await add(kind === 'api-tokens' ? 996 : 998, data.id);
      const headers = {'idempotency-key': randomUUID()};
      const last = await make(kind, BODIES[kind], {token: child, headers});
      expect((await post(kind, BODIES[kind], {token: grandchild})).status).toBe(201);
      for (const token of [root, child, grandchild]) expect(await post(kind, BODIES[kind], {token})).toEqual(FULL);
      // Who repeats a call hears what became of it.
      const again = await post(kind, BODIES[kind], {token: child, headers});
      expect(again).toMatchObject({status: 409, body: {id: last.data.id}});
      for (const token of [admin, secret]) expect((await post(kind, BODIES[kind], {token})).status).toBe(201);
      await leave('revoked_at = now()');
      expect(await post(kind, BODIES[kind], {token: child})).toEqual(FULL);
      await leave(`created_at = now() - interval '25 h'`);
      expect((await post(kind, BODIES[kind], {token: child})).status).toBe(201);
    } finally {
      await removed();
    }
  });

  test('a region has ten thousand', async () => {
    try {
      await add(9_800, null);
      expect((await post(kind, BODIES[kind])).status).toBe(201);
      await add(200, null);
      for (const token of [admin, secret]) expect(await post(kind, BODIES[kind], {token})).toEqual(FULL);
      await leave(`expires_at = now(), created_at = now() - interval '25 h'`);
      expect((await post(kind, BODIES[kind])).status).toBe(201);
    } finally {
      await removed();
    }
  });
});

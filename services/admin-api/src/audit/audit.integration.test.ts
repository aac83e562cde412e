/** What is told of those who change something, and who may read it. */
import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals';
import {z} from 'zod';
import {type AuditedRegion, openAuditedRegion} from '../testing/audited-region.ts';
import {seedApiToken} from '../testing/seed.ts';
import {startTestApi} from '../testing/test-api.ts';
import {openWithoutShard1} from '../testing/without-shard.ts';

let audited: AuditedRegion;
beforeAll(async () => {
  audited = await openAuditedRegion();
}, 60_000);
afterAll(() => audited.close(), 30_000);
beforeEach(() => audited.forget());

const entrySchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  seq: z.int().nullable(),
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  objectId: z.string(),
  groups: z.array(z.string()).nullable(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
  requestId: z.string().nullable(),
  address: z.string().nullable(),
});
const pageSchema = z.object({
  data: z.array(entrySchema),
  hasNextPage: z.boolean(),
  nextCursor: z.string().nullable(),
  partial: z.array(z.string()).optional(),
});

const list = async (query: Readonly<Record<string, string>> = {}, token = audited.admin, at = audited.api) =>
  pageSchema.parse((await at.call('GET', `/api/v1/audit?${new URLSearchParams(query).toString()}`, {token})).body);

const madeSchema = z.object({token: z.string(), data: z.object({id: z.string()})});
const make = async (kind: string, body: object): Promise<z.output<typeof madeSchema>> =>
  madeSchema.parse((await audited.api.call('POST', `/api/v1/${kind}`, {token: audited.admin, body})).body);

describe('what is told', () => {
  test('tokens of both kinds, who made and who revoked them, and once only', async () => {
    const headers = {
      'idempotency-key': 'pond-1',
      'x-forwarded-for': '203.0.113.9, 198.51.100.7',
      'x-request-id': 'request-77',
    };
    const body = {name: 'the pond', group: 'north', maxDevices: 3};
    const created = await audited.api.call('POST', '/api/v1/enrolment-tokens', {token: audited.admin, body, headers});
    const {data, token} = madeSchema.parse(created.body);
    expect(
      (await audited.api.call('POST', '/api/v1/enrolment-tokens', {token: audited.admin, body, headers})).status,
    ).toBe(409);
    const own = await make('api-tokens', {name: 'ann', role: 'viewer', groups: ['south', 'north']});
    for (let time = 0; time < 2; time++)
      await audited.api.call('DELETE', `/api/v1/api-tokens/${own.data.id}`, {token: audited.admin});
    const {data: entries} = await list();
    const told = {actor: 'test admin', state: 'pending', seq: null};
    const ofAnn = {name: 'ann', role: 'viewer', groups: ['north', 'south'], expiresAt: null};
    expect(entries).toMatchObject([
      {
        ...told,
        action: 'api-token.revoke',
        objectId: own.data.id,
        groups: ['north', 'south'],
        before: ofAnn,
        after: null,
      },
      {...told, action: 'api-token.create', objectId: own.data.id, before: null, after: ofAnn},
      {
        ...told,
        ...{
          action: 'enrolment-token.create',
          objectId: data.id,
          groups: ['north'],
          requestId: 'request-77',
          address: '198.51.100.7',
        },
        after: {name: 'the pond', group: 'north', maxDevices: 3, expiresAt: null},
      },
    ]);
    for (const secret of [token, own.token, audited.admin]) expect(JSON.stringify(entries)).not.toContain(secret);
    const stored = await audited.region.shards
      .control('job')
      .query<{text: string}>('select audit_outbox::text as text from audit_outbox');
    for (const secret of [token, own.token, audited.admin]) expect(JSON.stringify(stored.rows)).not.toContain(secret);
  });

  test('who signs in and out, where there is a session, and not who tries', async () => {
    const signIn = await audited.api.call('POST', '/api/v1/session', {body: {token: audited.admin}});
    await audited.api.call('POST', '/api/v1/session', {body: {token: 'nobody'}});
    const cookie = signIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const {csrfToken} = z.object({csrfToken: z.string()}).parse(signIn.body);
    expect(
      (await audited.api.call('DELETE', '/api/v1/session', {headers: {cookie, 'x-csrf-token': csrfToken}})).status,
    ).toBe(204);
    await audited.api.call('DELETE', '/api/v1/session', {token: audited.admin});
    const {data} = await list();
    expect(data.map(({action}) => action)).toEqual(['session.end', 'session.begin']);
    expect(data[0]?.objectId).toBe(data[1]?.objectId);
    expect(cookie).not.toContain(data[0]?.objectId);
  });

  test('a sync that somebody asks for, on the shard of the device', async () => {
    for (const shard of [0, 1]) expect((await audited.askForSync(shard)).status).toBe(202);
    const {data} = await list();
    expect(data).toMatchObject(
      [1, 0].map((shard) => ({
        ...{
          action: 'device.request-sync',
          objectId: audited.deviceOn(shard).id,
          groups: [audited.deviceOn(shard).group],
          shard,
        },
        after: {syncType: 'delta', priority: 'high'},
      })),
    );
  });

  test('nothing of a change that is refused', async () => {
    await audited.api.call('POST', '/api/v1/enrolment-tokens', {
      token: audited.admin,
      body: {name: 'n', group: 'nowhere'},
    });
    await audited.api.call('DELETE', `/api/v1/api-tokens/${audited.deviceOn(0).id}`, {token: audited.admin});
    expect((await list()).data).toEqual([]);
  });
});

describe('the list', () => {
  const fill = async (): Promise<void> => {
    await audited.askForSync(0);
    await make('enrolment-tokens', {name: 'one', group: 'north'});
    await audited.chain();
    await audited.askForSync(1);
    await make('api-tokens', {name: 'two', role: 'viewer', groups: ['south']});
  };

  test('has what is chained and what is not in one order, page by page', async () => {
    await fill();
    const {data: all} = await list();
    expect(all.map(({action, state}) => `${action} ${state}`)).toEqual([
      'api-token.create pending',
      'device.request-sync pending',
      'enrolment-token.create chained',
      'device.request-sync chained',
    ]);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await list({limit: '1', ...(cursor === undefined ? {} : {cursor})});
      seen.push(...page.data.map(({id}) => id));
      cursor = page.hasNextPage ? (page.nextCursor ?? undefined) : undefined;
      // What was pending is chained while somebody goes through it.
      await audited.chain();
    } while (cursor !== undefined);
    expect(seen).toEqual(all.map(({id}) => id));
  });

  test.each([
    [{actor: 'test admin'}, 4],
    [{actor: 'nobody'}, 0],
    [{action: 'device.request-sync'}, 2],
    [{objectKind: 'api-token'}, 1],
    [{action: 'device.request-sync', objectKind: 'device', actor: 'test admin'}, 2],
    [{since: '2100-01-01T00:00:00Z'}, 0],
    [{until: '2100-01-01T00:00:00Z', since: '2020-01-01T00:00:00Z'}, 4],
  ])('with %j has %i of four', async (query, count) => {
    await fill();
    expect((await list(query as Readonly<Record<string, string>>)).data).toHaveLength(count);
  });

  test.each([
    [{since: '2020-01-01T00:00:00-23:59', until: `2100-01-01T00:00:00.${'9'.repeat(200)}+23:59`}, 200],
    [{since: '0000-01-01T00:00:00Z'}, 400],
    [{until: '9999-12-31T23:59:59-00:01'}, 400],
  ])('with times at the ends of the calendar, %j, is a %i', async (query, status) => {
    for (const path of ['/api/v1/audit', '/api/v1/audit/export']) {
      const asked = `${path}?${new URLSearchParams(query as Readonly<Record<string, string>>).toString()}`;
      expect((await audited.api.call('GET', asked, {token: audited.admin})).status).toBe(status);
    }
  });

  test('finds what concerns an object, and ends between two moments', async () => {
    await fill();
    expect((await list({objectId: audited.deviceOn(1).id})).data).toHaveLength(1);
    const [, second, third] = (await list()).data;
    expect((await list({since: third?.at ?? '', until: second?.at ?? ''})).data.map(({id}) => id)).toEqual([third?.id]);
  });

  test('has for a token of some groups what concerns these alone', async () => {
    await fill();
    const scoped = await seedApiToken(audited.region.shards, 'auditor', ['north', audited.deviceOn(0).group]);
    const {data} = await list({}, scoped);
    for (const {groups} of data)
      expect(['north', audited.deviceOn(0).group]).toEqual(expect.arrayContaining(groups ?? ['?']));
    expect(data.map(({action}) => action)).toContain('enrolment-token.create');
  });

  test('names the shards that do not say what waits there, and goes on', async () => {
    await fill();
    const shards = await openWithoutShard1(audited.region);
    const without = await startTestApi({shards, cache: {use: () => Promise.resolve(undefined)}});
    try {
      const page = await list({}, audited.admin, without);
      expect(page).toMatchObject({partial: ['shard-1'], hasNextPage: false});
      expect(page.data).toHaveLength(3);
      expect(page.nextCursor).not.toBeNull();
      const rest = await list({cursor: page.nextCursor ?? ''});
      expect(rest.data.map(({objectId}) => objectId)).toEqual([audited.deviceOn(1).id]);
    } finally {
      await without.close();
      await shards.close();
    }
  });
});

describe('the export', () => {
  test('is the whole list, as NDJSON', async () => {
    for (let time = 0; time < 3; time++) await audited.askForSync(0);
    await audited.chain();
    await audited.askForSync(1);
    const answer = await audited.api.call('GET', '/api/v1/audit/export', {token: audited.admin});
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit.ndjson"');
    expect(answer.body).toEqual((await list()).data);
  });

  test('is a table, in which nothing is a formula', async () => {
    await make('enrolment-tokens', {name: '=cmd|"x"', group: 'north'});
    const named = await make('api-tokens', {name: '=1+1', role: 'admin'});
    await audited.api.call('POST', `/api/v1/devices/${audited.deviceOn(0).id}/sync`, {token: named.token, body: {}});
    const {body, headers} = await audited.api.call('GET', '/api/v1/audit/export?format=csv', {token: audited.admin});
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const lines = String(body).trimEnd().split('\r\n');
    expect(lines[0]).toMatch(/^id,state,seq,at,actor,/);
    expect(lines).toHaveLength(4);
    expect(lines[1]).toContain(`,'=1+1,`);
    expect(lines.at(-1)).toContain('""name"":""=cmd|');
  });

  test('of many entries is sent in pages', async () => {
    await audited.region.shards.pool(1, 'job').query(
      `insert into audit_outbox (counter, actor, role, action, object_kind, object_id)
       select n, 'x', 'admin', 'session.begin', 'session', n::text from generate_series(1, 1300) n`,
    );
    const {body} = await audited.api.call('GET', '/api/v1/audit/export', {token: audited.admin});
    expect(
      new Set(
        z
          .array(entrySchema)
          .parse(body)
          .map(({objectId}) => objectId),
      ).size,
    ).toBe(1300);
  });

  test('does not begin where a shard is away', async () => {
    const shards = await openWithoutShard1(audited.region);
    const without = await startTestApi({shards, cache: {use: () => Promise.resolve(undefined)}});
    try {
      const answer = await without.call('GET', '/api/v1/audit/export', {token: audited.admin});
      expect(answer).toMatchObject({status: 503, body: {code: 'shard-unavailable'}});
    } finally {
      await without.close();
      await shards.close();
    }
  });
});

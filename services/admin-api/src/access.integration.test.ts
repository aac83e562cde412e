/** Who gets what of which operation: each role, who is nobody here, tokens that are for one group, and pages of other sites; and what the audit says of it. */
import {randomUUID} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {type Role, tokenHash} from '@pisync/core/devices/tokens';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import type {RouteDefinition} from './http/route.ts';
import {ROLES, rolesFor} from './sessions/roles.ts';
import {markdownTable} from './testing/markdown-table.ts';
import {type SeededDevice, seedApiToken, seedDevices} from './testing/seed.ts';
import {type Answer, type CallOptions, startTestApi, type TestApi} from './testing/test-api.ts';

const [OWN, OTHER] = ['north', 'south'] as const;
type Group = typeof OWN | typeof OTHER;

/** How an operation is called, and what is expected of it where that does not follow from how it is declared. */
interface Way {
  readonly may?: 'anyone' | readonly Role[];
  /** The `{id}` of something that is of this group; asked for before each call. */
  readonly id?: (group: Group) => Promise<string>;
  readonly body?: (group: Group) => unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ok?: number;
  /**
   * What a token gets that is for the group `north`. same: it makes no difference. hides: what is of another group is a 404. leaves out: of other groups the answer
   * says nothing. refuses: what is of another group is a 400. forbids: it is for tokens of all groups.
   */
  readonly scoped?: 'same' | 'hides' | 'leaves out' | 'refuses' | 'forbids';
  /** Default: whatever is no GET. */
  readonly changes?: boolean;
}

interface Row extends Way {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly changes: boolean;
  readonly may: 'anyone' | readonly Role[];
  readonly ok: number;
  readonly scoped: NonNullable<Way['scoped']>;
}

let region: TestShards;
let elsewhere: TestShards;
let api: TestApi;
let devices: readonly SeededDevice[];
let rows: readonly Row[];

const deviceOf = (group: Group): Promise<string> => {
  const found = devices.find((device) => device.group === group);
  if (found === undefined) throw new Error(`no device of ${group} was seeded`);
  return Promise.resolve(found.id);
};

/** One of its own for each call, because a call may end it. */
const enrolmentTokenOf = async (group: Group): Promise<string> => {
  const body = {name: `for ${group}`, group};
  return madeId(await api.call('POST', '/api/v1/enrolment-tokens', {token: tokens.get('admin') ?? '', body}));
};
const apiTokenOf = async (group: Group): Promise<string> => {
  const body = {name: `for ${group}`, role: 'viewer', groups: [group]};
  return madeId(await api.call('POST', '/api/v1/api-tokens', {token: tokens.get('admin') ?? '', body}));
};
const madeId = ({body}: Answer): string =>
  String(z.object({data: z.object({id: z.union([z.string(), z.int()])})}).parse(body).data.id);
let madeGroups = 0;
const newGroup = (): {readonly name: string} => ({name: `made ${madeGroups++}`});
const groupOf = async (group: Group): Promise<string> => {
  const {body} = await api.call('GET', '/api/v1/groups?fields=name&limit=500', {token: tokens.get('admin') ?? ''});
  const {data} = z.object({data: z.array(z.object({id: z.int(), name: z.string()}))}).parse(body);
  return String(data.find(({name}) => name === group)?.id);
};
/** One that nobody has a device of, because the call may end it. */
const groupToChange = async (): Promise<string> =>
  madeId(await api.call('POST', '/api/v1/groups', {token: tokens.get('admin') ?? '', body: newGroup()}));

/** Whom nobody has shut out, or somebody has. */
const deviceThat = (action: 'reinstate' | 'revoke') => async (group: Group) => {
  const id = await deviceOf(group);
  await api.call('POST', `/api/v1/devices/${id}/${action}`, {token: tokens.get('admin') ?? ''});
  return id;
};

/** By the part of the address before `{id}`. */
const IDS: Readonly<Record<string, Way['id']>> = {
  devices: deviceOf,
  groups: groupOf,
  'enrolment-tokens': enrolmentTokenOf,
  'api-tokens': apiTokenOf,
};

let colours = 0;

/** Operations that need more than their declaration says. One that changes something has to do so each time. */
const WAYS: Readonly<Record<string, Way>> = {
  'post /api/v1/session': {body: () => ({token: anyToken})},
  'get /api/v1/session': {scoped: 'same'},
  'delete /api/v1/session': {scoped: 'same'},
  'patch /api/v1/devices/{id}': {body: () => ({tags: {colour: String(colours++)}}), headers: {'if-match': '*'}},
  'post /api/v1/devices/{id}/sync': {id: deviceThat('reinstate'), body: () => ({})},
  'post /api/v1/devices/{id}/revoke': {id: deviceThat('reinstate')},
  'post /api/v1/devices/{id}/decommission': {id: deviceThat('reinstate')},
  'post /api/v1/devices/{id}/reinstate': {id: deviceThat('revoke')},
  'post /api/v1/groups': {body: newGroup, scoped: 'forbids'},
  'patch /api/v1/groups/{id}': {id: groupToChange, body: newGroup, headers: {'if-match': '*'}, scoped: 'forbids'},
  'delete /api/v1/groups/{id}': {id: groupToChange, scoped: 'forbids'},
  'post /api/v1/enrolment-tokens': {body: (group) => ({name: 'n', group})},
  'post /api/v1/api-tokens': {body: (group) => ({name: 'n', role: 'admin', groups: [group]})},
  'get /api/v1/audit/verify': {scoped: 'forbids'},
};

/** Of every operation that is declared, so a new one is tried at once. */
const rowOf = ({method, path, access, success, creates}: RouteDefinition): Row => {
  const operation = `${method} ${path}`;
  const id = path.includes('{id}') ? IDS[path.split('/')[3] ?? ''] : undefined;
  const scoped =
    id !== undefined ? 'hides' : creates === true ? 'refuses' : access === 'anyone' ? 'same' : 'leaves out';
  return {
    ...{operation, method, path, scoped, changes: method !== 'get', ok: success.status},
    may: access === 'anyone' ? access : rolesFor(access),
    ...(id === undefined ? {} : {id}),
    ...WAYS[operation],
  };
};

let anyToken: string;
const tokens = new Map<Role, string>();
const scopedTokens = new Map<Role, string>();

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  elsewhere = await createTestShards({shards: 1});
  devices = await seedDevices(region.shards, 24);
  for (const role of ROLES) {
    tokens.set(role, await seedApiToken(region.shards, role));
    scopedTokens.set(role, await seedApiToken(region.shards, role, [OWN]));
  }
  anyToken = await seedApiToken(region.shards, 'viewer');
  api = await startTestApi({
    shards: region.shards,
    cache: {use: () => Promise.resolve(undefined)},
    publish: () => Promise.resolve(),
  });
  rows = api.routes.map(rowOf);
  for (const group of [OWN, OTHER]) await Promise.all([enrolmentTokenOf(group), apiTokenOf(group)]);
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
  await elsewhere.close();
}, 30_000);

const isFor = ({may}: Row, role: Role): boolean => may === 'anyone' || may.includes(role);

const call = async ({method, path, id, body, headers}: Row, group: Group, as: CallOptions): Promise<Answer> =>
  api.call(method.toUpperCase(), path.replace('{id}', (await id?.(group)) ?? ''), {
    ...as,
    ...(body === undefined ? {} : {body: body(group)}),
    headers: {...headers, ...as.headers},
  });

/** What each operation answers, and what was expected. */
const tryAll = async (
  who: () => CallOptions | Promise<CallOptions>,
  expected: (row: Row) => number,
  see: (row: Row, answer: Answer) => void = () => undefined,
): Promise<void> => {
  const [seen, wanted]: [string, number][][] = [[], []];
  for (const row of rows) {
    const answer = await call(row, OTHER, await who());
    seen?.push([row.operation, answer.status]);
    wanted?.push([row.operation, expected(row)]);
    see(row, answer);
  }
  expect(seen).toEqual(wanted);
};

const signIn = async (token: string): Promise<{readonly cookie: string; readonly 'x-csrf-token': string}> => {
  const {headers, body} = await api.call('POST', '/api/v1/session', {body: {token}});
  const {csrfToken} = z.object({csrfToken: z.string()}).parse(body);
  return {cookie: headers.get('set-cookie')?.split(';')[0] ?? '', 'x-csrf-token': csrfToken};
};

const asAllowed = (row: Row, role: Role): number => (isFor(row, role) ? row.ok : 403);
const asStranger = ({may, ok}: Row): number => (may === 'anyone' ? ok : 401);
/** A page of another site has a browser's cookie at most. */
const asOtherSite = (row: Row): number => (row.changes && row.may !== 'anyone' ? 403 : row.ok);

test.each(ROLES)('what a token gets that is %s', async (role) => {
  await tryAll(
    () => ({token: tokens.get(role) ?? ''}),
    (row) => asAllowed(row, role),
  );
});

test.each(ROLES)('what a session gets whose token is %s: the same', async (role) => {
  await tryAll(
    async () => ({headers: await signIn(tokens.get(role) ?? '')}),
    (row) => asAllowed(row, role),
  );
});

test.each<[string, () => Promise<CallOptions>]>([
  ['without a token', () => Promise.resolve({})],
  ['with a token of another region', async () => ({token: await seedApiToken(elsewhere.shards, 'admin')})],
  ['with a token that has expired', () => endedToken(`expires_at = now() - interval '1 s'`)],
  ['with a token that was revoked', () => endedToken('revoked_at = now()')],
  ['with a session whose token was revoked', async () => ({headers: await signIn((await endedToken('')).token)})],
  ['with a session that was ended', endedSession],
])('what somebody gets %s', async (what, who) => {
  const credentials = await who();
  if (what.includes('session whose')) await endTokens('revoked_at = now()');
  await tryAll(() => credentials, asStranger);
});

/** Of the region, an administrator's. @param change SQL of how it ends; empty: not yet */
async function endedToken(change: string): Promise<{readonly token: string}> {
  const token = await seedApiToken(region.shards, 'admin');
  await region.shards
    .control('job')
    .query(`update control.api_token set name = 'to end' where token_hash = $1`, [tokenHash(token)]);
  if (change !== '') await endTokens(change);
  return {token};
}
async function endTokens(change: string): Promise<void> {
  await region.shards.control('job').query(`update control.api_token set ${change} where name = 'to end'`);
}
async function endedSession(): Promise<CallOptions> {
  const headers = await signIn(tokens.get('admin') ?? '');
  expect((await api.call('DELETE', '/api/v1/session', {headers})).status).toBe(204);
  return {headers};
}

test.each<[string, (own: string) => Promise<Readonly<Record<string, string>>>]>([
  ['without its CSRF token', () => Promise.resolve({})],
  ['with the CSRF token of another one', async () => ({'x-csrf-token': (await signIn(anyToken))['x-csrf-token']})],
  [
    'from a page of another site',
    () => Promise.resolve({origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site'}),
  ],
  ['from a page of no site', () => Promise.resolve({origin: 'null'})],
])('what a session gets %s, and such a page reads nothing of it', async (_what, more) => {
  const {cookie, 'x-csrf-token': own} = await signIn(tokens.get('admin') ?? '');
  const headers = {cookie, ...(await more(own))};
  await tryAll(
    () => ({headers}),
    asOtherSite,
    (_row, answer) => {
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
      expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin');
    },
  );
});

test('a browser that asks first for a page of another site is told of no permission', async () => {
  for (const {path, method, id} of rows) {
    const answer = await api.call('OPTIONS', path.replace('{id}', (await id?.(OTHER)) ?? ''), {
      headers: {
        origin: 'https://elsewhere.example',
        'access-control-request-method': method.toUpperCase(),
        'access-control-request-headers': 'authorization, content-type, x-csrf-token',
      },
    });
    expect(answer.status).toBe(405);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  }
});

test('a form of another site has a body that nobody reads', async () => {
  const token = tokens.get('admin') ?? '';
  for (const row of rows.filter(({body}) => body !== undefined)) {
    const answer = await call(row, OTHER, {token, headers: {'content-type': 'text/plain'}});
    expect([row.operation, answer.status]).toEqual([row.operation, 415]);
  }
});

/** Actions that the audit has of a request. */
const toldOf = async (requestId: string): Promise<readonly string[]> => {
  const found = await Promise.all(
    region.shards
      .ids()
      .map((shard) =>
        region.shards
          .pool(shard, 'job')
          .query<{action: string}>('select action from audit_outbox where request_id = $1', [requestId]),
      ),
  );
  return found.flatMap(({rows}) => rows.map(({action}) => action));
};

/** @returns what the audit says of each operation that changes something, once it was called */
const tellAll = async (
  as: (row: Row) => CallOptions | Promise<CallOptions>,
): Promise<ReadonlyMap<string, readonly string[]>> => {
  const told = new Map<string, readonly string[]>();
  for (const row of rows) {
    const requestId = randomUUID();
    const who = await as(row);
    await call(row, OTHER, {...who, headers: {...who.headers, 'x-request-id': requestId}});
    told.set(row.operation, await toldOf(requestId));
  }
  return told;
};

test('each operation that changes something is told once, and no other; docs say how, and what was tried above', async () => {
  const told = await tellAll(async () => ({headers: await signIn(tokens.get('admin') ?? '')}));
  for (const {operation, changes} of rows) {
    expect({operation, times: told.get(operation)?.length}).toEqual({operation, times: changes ? 1 : 0});
  }
  const file = new URL('../../../docs/api/admin-access.md', import.meta.url);
  const page = matrix(told);
  if (process.env['PISYNC_UPDATE_GOLDEN'] === '1') await writeFile(file, page);
  expect(await readFile(file, 'utf8')).toBe(page);
});

test('of what is refused nothing is told', async () => {
  const refused = rows.filter((row) => row.changes && row.may !== 'anyone');
  for (const token of [undefined, tokens.get('viewer')]) {
    const told = await tellAll(() => (token === undefined ? {} : {token}));
    for (const {operation} of refused) expect({operation, told: told.get(operation)}).toEqual({operation, told: []});
  }
});

const IN_WORDS: Readonly<Record<Row['scoped'], string>> = {
  same: 'the same',
  hides: '404 for what is of another group',
  'leaves out': 'nothing of other groups is in it',
  refuses: '400 for another group',
  forbids: '403',
};

/** As docs have it. */
const matrix = (told: ReadonlyMap<string, readonly string[]>): string => {
  const lines = rows.map((row) => [
    `\`${row.method.toUpperCase()} ${row.path}\``,
    String(asStranger(row)),
    ...ROLES.map((role) => String(asAllowed(row, role))),
    IN_WORDS[row.scoped],
    String(asOtherSite(row)),
    (told.get(row.operation) ?? []).map((action) => `\`${action}\``).join(', '),
  ]);
  const head = ['operation', 'stranger', ...ROLES, 'a token for some groups', 'another site', 'audit'];
  return [
    '# Who may do what',
    '',
    'What each operation of the [admin API](admin.md) answers to whom, as a test tries it (`services/admin-api/src/access.integration.test.ts` writes this page).',
    '',
    ...markdownTable([head, ...lines]),
    '',
    '- A **stranger** has no token, or one of another region, or one that expired or was revoked, or a session that has ended or whose token has.',
    '- A session that repeats its CSRF token gets what its token gets.',
    '- **Another site** is a page that a signed-in browser shows: it sends the cookie at most, and not the CSRF token of the session. Whatever it gets it cannot read: no answer has a CORS header, and',
    '  `Cross-Origin-Resource-Policy` is `same-origin`. A preflight (`OPTIONS`) is a 405 that permits nothing, and a body that is not sent as `application/json`, as that of a form, is a 415.',
    '- **audit** is the `action` of the entry that a call leaves behind when it changes something. What is refused leaves none.',
    '',
  ].join('\n');
};

test.each(ROLES)(`what a token gets that is %s of the group ${OWN}`, async (role) => {
  const token = scopedTokens.get(role) ?? '';
  for (const row of rows) {
    const {operation, ok, scoped} = row;
    const own = await call(row, OWN, {token});
    const other = await call(row, OTHER, {token});
    const statuses = {operation, own: own.status, other: other.status};
    if (!isFor(row, role) || scoped === 'forbids') {
      expect(statuses).toEqual({operation, own: 403, other: 403});
      continue;
    }
    const otherwise = scoped === 'hides' ? 404 : scoped === 'refuses' ? 400 : ok;
    expect(statuses).toEqual({operation, own: ok, other: otherwise});
    if (scoped === 'same') continue;
    const text = JSON.stringify([own.body, other.body]);
    const foreign = devices.filter(({group}) => group !== OWN);
    // Of an address that was asked for, and of what was sent, the refusal speaks.
    const said = scoped === 'leaves out' ? text : JSON.stringify(own.body ?? '');
    for (const name of [OTHER, ...foreign.map(({id}) => id)])
      expect({operation, said}).toEqual({operation, said: expect.not.stringContaining(name) as unknown});
    if (scoped === 'leaves out')
      expect({operation, text}).toEqual({operation, text: expect.stringContaining(`"${OWN}"`) as unknown});
  }
});

/** Who gets what of which operation: each role, nobody, a token of another region, and tokens that are for one group. An operation without a row here fails. */
import {readFile, writeFile} from 'node:fs/promises';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import type {Role} from '@pisync/core/devices/tokens';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import {ROLES} from './sessions/roles.ts';
import {type SeededDevice, seedApiToken, seedDevices} from './testing/seed.ts';
import {type Answer, startTestApi, type TestApi} from './testing/test-api.ts';

const [OWN, OTHER] = ['north', 'south'] as const;
type Group = typeof OWN | typeof OTHER;

interface Row {
  readonly may: 'anyone' | readonly Role[];
  /** The `{id}` of something that is of this group; asked for before each call. */
  readonly id?: (group: Group) => Promise<string>;
  readonly body?: (group: Group) => unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ok: number;
  /**
   * What a token gets that is for the group `north`. same: it makes no difference. hides: what is of another group is a 404. leaves out: of other groups the answer
   * says nothing. refuses: what is of another group is a 400. forbids: it is for tokens of all groups.
   */
  readonly scoped: 'same' | 'hides' | 'leaves out' | 'refuses' | 'forbids';
}

let region: TestShards;
let elsewhere: TestShards;
let api: TestApi;
let devices: readonly SeededDevice[];

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
const madeId = ({body}: Answer): string => z.object({data: z.object({id: z.string()})}).parse(body).data.id;

/** Who administers the region, and who watches him. */
const WATCHING = ['admin', 'auditor'] as const;
const ofEnrolmentTokens = {may: WATCHING, id: enrolmentTokenOf, ok: 200, scoped: 'hides'} as const;
const ofApiTokens = {may: WATCHING, id: apiTokenOf, ok: 200, scoped: 'hides'} as const;
const newOne = {may: ['admin'], ok: 201, scoped: 'refuses'} as const;

const ofDevices = {may: ROLES, id: deviceOf, ok: 200, scoped: 'hides'} as const;

const ROWS: Readonly<Record<string, Row>> = {
  'get /api/v1/openapi.json': {may: 'anyone', ok: 200, scoped: 'same'},
  'post /api/v1/session': {may: 'anyone', body: () => ({token: anyToken}), ok: 200, scoped: 'same'},
  'get /api/v1/session': {may: ROLES, ok: 200, scoped: 'same'},
  'delete /api/v1/session': {may: ROLES, ok: 204, scoped: 'same'},
  'get /api/v1/region/summary': {may: ROLES, ok: 200, scoped: 'leaves out'},
  'get /api/v1/devices': {may: ROLES, ok: 200, scoped: 'leaves out'},
  'get /api/v1/devices/{id}': ofDevices,
  'patch /api/v1/devices/{id}': {
    ...ofDevices,
    may: ['operator', 'admin'],
    body: () => ({tags: {colour: 'red'}}),
    headers: {'if-match': '*'},
  },
  'get /api/v1/devices/{id}/syncs': ofDevices,
  'get /api/v1/devices/{id}/records': ofDevices,
  'get /api/v1/devices/{id}/commands': ofDevices,
  'post /api/v1/devices/{id}/sync': {...ofDevices, may: ['operator', 'admin'], body: () => ({}), ok: 202},
  'post /api/v1/devices/{id}/revoke': {...ofDevices, may: ['admin']},
  'post /api/v1/devices/{id}/decommission': {...ofDevices, may: ['admin']},
  'post /api/v1/devices/{id}/reinstate': {...ofDevices, may: ['admin']},
  'get /api/v1/enrolment-tokens': {may: WATCHING, ok: 200, scoped: 'leaves out'},
  'post /api/v1/enrolment-tokens': {...newOne, body: (group) => ({name: 'n', group})},
  'get /api/v1/enrolment-tokens/{id}': ofEnrolmentTokens,
  'delete /api/v1/enrolment-tokens/{id}': {...ofEnrolmentTokens, may: ['admin'], ok: 204},
  'get /api/v1/api-tokens': {may: WATCHING, ok: 200, scoped: 'leaves out'},
  'post /api/v1/api-tokens': {...newOne, body: (group) => ({name: 'n', role: 'admin', groups: [group]})},
  'get /api/v1/api-tokens/{id}': ofApiTokens,
  'delete /api/v1/api-tokens/{id}': {...ofApiTokens, may: ['admin'], ok: 204},
  'get /api/v1/audit': {may: WATCHING, ok: 200, scoped: 'leaves out'},
  'get /api/v1/audit/export': {may: WATCHING, ok: 200, scoped: 'leaves out'},
  'get /api/v1/audit/verify': {may: WATCHING, ok: 200, scoped: 'forbids'},
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
  for (const group of [OWN, OTHER]) await Promise.all([enrolmentTokenOf(group), apiTokenOf(group)]);
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
  await elsewhere.close();
}, 30_000);

const call = async (operation: string, {id, body, headers}: Row, group: Group, token?: string): Promise<Answer> => {
  const [method = '', path = ''] = operation.split(' ');
  return api.call(method.toUpperCase(), path.replace('{id}', (await id?.(group)) ?? ''), {
    ...(token === undefined ? {} : {token}),
    ...(body === undefined ? {} : {body: body(group)}),
    ...(headers === undefined ? {} : {headers}),
  });
};

test('every operation has a row, and every row an operation', () => {
  expect(Object.keys(ROWS).sort()).toEqual([...api.documented].sort());
});

/** As docs have it. What it says of each cell the tests below try. */
const matrix = (): string => {
  const cell = (row: Row, role: Role): string =>
    row.may === 'anyone' || row.may.includes(role) ? String(row.ok) : '403';
  const lines = Object.entries(ROWS).map(([operation, row]) => {
    const [method = '', path = ''] = operation.split(' ');
    const stranger = row.may === 'anyone' ? String(row.ok) : '401';
    return [
      `\`${method.toUpperCase()} ${path}\``,
      stranger,
      ...ROLES.map((role) => cell(row, role)),
      IN_WORDS[row.scoped],
    ];
  });
  const table = [['operation', 'nobody, other region', ...ROLES, 'a token for some groups'], ...lines];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? [];
  const [head = '', ...rows] = table.map(
    (cells) => `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  return [
    '# Who may do what',
    '',
    'What each operation of the [admin API](admin.md) answers to whom, as a test tries it (`services/admin-api/src/access.integration.test.ts` writes this page).',
    'Sessions are as their tokens.',
    '',
    head,
    `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
    ...rows,
    '',
  ].join('\n');
};

const IN_WORDS: Readonly<Record<Row['scoped'], string>> = {
  same: 'the same',
  hides: '404 for what is of another group',
  'leaves out': 'nothing of other groups is in it',
  refuses: '400 for another group',
  forbids: '403',
};

test('docs say what is tested here', async () => {
  const file = new URL('../../../docs/api/admin-access.md', import.meta.url);
  if (process.env['PISYNC_UPDATE_GOLDEN'] === '1') await writeFile(file, matrix());
  expect(await readFile(file, 'utf8')).toBe(matrix());
});

describe.each(Object.entries(ROWS))('%s', (operation, row) => {
  const {may, ok, scoped} = row;
  const isFor = (role: Role): boolean => may === 'anyone' || may.includes(role);

  test.each(ROLES)('%s', async (role) => {
    const {status} = await call(operation, row, OTHER, tokens.get(role));
    expect(status).toBe(isFor(role) ? ok : 403);
  });

  test('nobody, and who has a token of another region', async () => {
    const foreign = await seedApiToken(elsewhere.shards, 'admin');
    for (const token of [undefined, foreign]) {
      expect((await call(operation, row, OWN, token)).status).toBe(may === 'anyone' ? ok : 401);
    }
  });

  test.each(ROLES)(`%s of the group ${OWN}`, async (role) => {
    const token = scopedTokens.get(role);
    const own = await call(operation, row, OWN, token);
    const other = await call(operation, row, OTHER, token);
    if (!isFor(role) || scoped === 'forbids') {
      expect([own.status, other.status]).toEqual([403, 403]);
      return;
    }
    expect(own.status).toBe(ok);
    expect(other.status).toBe(scoped === 'hides' ? 404 : scoped === 'refuses' ? 400 : ok);
    if (scoped === 'same') return;
    const text = JSON.stringify([own.body, other.body]);
    const foreign = devices.filter(({group}) => group !== OWN);
    // Of an address that was asked for, and of what was sent, the refusal speaks.
    const said = scoped === 'leaves out' ? text : JSON.stringify(own.body ?? '');
    for (const name of [OTHER, ...foreign.map(({id}) => id)]) expect(said).not.toContain(name);
    if (scoped === 'leaves out') expect(text).toContain(`"${OWN}"`);
  });
});

test('a scoped token counts, pages and filters as if there were no other groups, and its cursor is of no use without the scope', async () => {
  const token = await seedApiToken(region.shards, 'viewer', [OWN, OTHER]);
  const seen = devices.filter(({group}) => group === OWN || group === OTHER);
  const read = async (path: string, as = token) => (await api.call('GET', path, {token: as})).body;
  expect(await read('/api/v1/region/summary')).toMatchObject({
    devices: seen.length,
    byGroup: [OWN, OTHER].map((group) => ({group, devices: seen.filter((one) => one.group === group).length})),
  });
  const ids: string[] = [];
  let cursor = '';
  for (let page = 0; page <= seen.length; page++) {
    const answer = (await read(`/api/v1/devices?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)) as {
      readonly data: readonly {readonly id: string}[];
      readonly nextCursor: string | null;
    };
    ids.push(...answer.data.map(({id}) => id));
    if (answer.nextCursor === null) break;
    cursor = answer.nextCursor;
  }
  expect(ids).toEqual(seen.map(({id}) => id).sort());
  expect(await read('/api/v1/devices?group=default')).toMatchObject({data: [], hasNextPage: false});
  expect(await read(`/api/v1/devices?limit=3&cursor=${cursor}`, anyToken)).toMatchObject({
    status: 400,
    errors: [{pointer: '/cursor'}],
  });
});

const found = z.object({
  data: z.array(z.object({id: z.string()})),
  hasNextPage: z.boolean(),
  nextCursor: z.string().nullable(),
  count: z.object({value: z.int(), exact: z.boolean(), atLeast: z.boolean()}).optional(),
});

test.each([[[OWN]], [[OWN, OTHER]]])(
  'a token for %j finds, sorts and counts as if there were no other groups',
  async (scope) => {
    const token = await seedApiToken(region.shards, 'viewer', scope);
    const other = devices.find(({group}) => group === 'default');
    const is = (group: string) => (device: SeededDevice) => device.group === group;
    const queries: readonly [Readonly<Record<string, string>>, (device: SeededDevice, index: number) => boolean][] = [
      [{}, () => true],
      [{status: 'late'}, ({status}) => status === 'late'],
      [{filter: 'status==late,group==default'}, ({status}) => status === 'late'],
      [{filter: 'name!=nobody'}, () => true],
      [{filter: `group!=${OWN}`}, ({group}) => group !== OWN],
      [{filter: 'group!=default'}, () => true],
      [{filter: `group=in=(${OWN},default)`}, is(OWN)],
      [{filter: `id==${other?.id ?? ''}`}, () => false],
      [{filter: `id==${other?.id ?? ''},tags.site==s-1`}, (_, index) => index % 7 === 1],
      [{filter: 'group==default'}, () => false],
      [{group: 'default', q: 'site'}, () => false],
      [{q: 'hw-0'}, () => true],
      [{q: 'site-oak', filter: 'tags.site!=s-0'}, (_, index) => index % 4 === 0 && index % 7 !== 0],
      [{q: other?.id ?? ''}, () => false],
    ];
    const isSeen = ({group}: SeededDevice): boolean => scope.some((name) => name === group);
    for (const [query, fits] of queries) {
      const expected = devices.filter((device, index) => isSeen(device) && fits(device, index)).map(({id}) => id);
      for (const sort of ['id', '-name', 'lastSeen', '-enrolledAt']) {
        const ids: string[] = [];
        let cursor = '';
        do {
          const asked = {...query, sort, limit: '2', count: 'true', ...(cursor === '' ? {} : {cursor})};
          const path = `/api/v1/devices?${new URLSearchParams(asked).toString()}`;
          const page = found.parse((await api.call('GET', path, {token})).body);
          expect({asked, count: page.count}).toEqual({
            asked,
            count: expect.objectContaining({value: expected.length, exact: true, atLeast: false}) as unknown,
          });
          ids.push(...page.data.map(({id}) => id));
          cursor = page.nextCursor ?? '';
        } while (cursor !== '' && ids.length <= expected.length);
        expect({query, sort, ids: ids.sort()}).toEqual({query, sort, ids: expected.sort()});
      }
    }
  },
  60_000,
);

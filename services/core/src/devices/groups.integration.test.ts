import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {createGroups} from './groups.ts';

jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const make = (name: string) =>
  bench.shards.control('job').query('insert into control.device_group (name) values ($1)', [name]);

test.each(['a', 'north & "co"', '温室', '🍓'.repeat(64), 'می‌خواهم', 'a\\u0001'])(
  '%j is a name of a group',
  async (name) => {
    await expect(make(name)).resolves.toBeDefined();
  },
);

test.each([
  '',
  ' ',
  'north ',
  'a'.repeat(65),
  'a\nb',
  'a\tb',
  '\u0001',
  'a\u007f',
  'a\u0085',
  '\u00ad',
  'a\u061c',
  '\u200b',
  'a\u200e',
  'a\u2028',
  '\u202eevil',
  'a\u2060',
  'a\u2069',
  '\ufeff',
])('%j is none: it is too long for a line, or has what is not seen', async (name) => {
  await expect(make(name)).rejects.toThrow(/device_group_name_check/);
});

test('a group that was deleted has its name for who knows its number, and none for who knows its name', async () => {
  const {rows} = await bench.shards.control('job').query<{groupId: number}>(
    `insert into control.device_group (name, filter, deleted_at) values
       ('pond', null, now()), ('pond', null, now()), ('pond', null, null), ('dry', 'group==7', null), ('dry', 'group==8', now()), ('odd', 'status~late', null)
     returning group_id as "groupId"`,
  );
  const names = await createGroups(bench.shards, () => 0).names();
  expect(rows.map(({groupId}) => names.nameOf(groupId))).toEqual([
    ...['pond (deleted)', 'pond (deleted)', 'pond', 'dry', 'dry (deleted)', 'odd'],
  ]);
  expect([names.idOf('pond'), names.filterOf('pond')]).toEqual([rows[2]?.groupId, undefined]);
  expect([names.idOf('dry'), names.filterOf('dry')]).toMatchObject([
    undefined,
    {field: 'group', values: [{text: '7'}]},
  ]);
  expect(() => names.filterOf('odd')).toThrow(/"odd", whose own filter this release cannot read/);
  await expect(make('pond')).rejects.toThrow(/device_group_by_name/);
});

test('what has changed is read by who asks next, also while it was being read', async () => {
  let nowMs = 0;
  const groups = createGroups(bench.shards, () => nowMs);
  const job = bench.shards.control('job');
  const {rows} = await job.query<{groupId: number}>(
    `insert into control.device_group (name) values ('one') returning group_id as "groupId"`,
  );
  const groupId = rows[0]?.groupId ?? 0;
  const name = async (): Promise<string> => (await groups.names()).nameOf(groupId);
  expect(await name()).toBe('one');
  await job.query(`update control.device_group set name = 'two' where name = 'one'`);
  expect(await name()).toBe('one');
  groups.forget();
  expect(await name()).toBe('two');

  nowMs += 10_000;
  const reading = groups.names();
  groups.forget();
  await job.query(`update control.device_group set name = 'three' where name = 'two'`);
  await reading;
  expect(await name()).toBe('three');
});

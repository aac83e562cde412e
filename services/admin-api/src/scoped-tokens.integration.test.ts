/** A token that is for some groups: lists, searches and counts are as if there were no others. */
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import {type SeededDevice, seedApiToken, seedDevices} from './testing/seed.ts';
import {startTestApi, type TestApi} from './testing/test-api.ts';

const [OWN, OTHER] = ['north', 'south'] as const;

let region: TestShards;
let api: TestApi;
let devices: readonly SeededDevice[];
let anyToken: string;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  devices = await seedDevices(region.shards, 24);
  anyToken = await seedApiToken(region.shards, 'viewer');
  api = await startTestApi({shards: region.shards, cache: {use: () => Promise.resolve(undefined)}});
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
}, 30_000);

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

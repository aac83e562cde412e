/** How many groups a region has, and what their numbers are. */
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {MOST_GROUPS} from '@pisync/core/groups/group-table';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import {seedApiToken} from '../testing/seed.ts';
import {type Answer, startTestApi, type TestApi} from '../testing/test-api.ts';

jest.setTimeout(60_000);

const PATH = '/api/v1/groups';
let region: TestShards;
let api: TestApi;
let admin: string;

beforeAll(async () => {
  region = await createTestShards({shards: 1});
  admin = await seedApiToken(region.shards, 'admin');
  api = await startTestApi({shards: region.shards, cache: {use: () => Promise.resolve(undefined)}});
});

afterAll(async () => {
  await api.close();
  await region.close();
});

const post = (body: unknown): Promise<Answer> => api.call('POST', PATH, {token: admin, body});
const madeId = ({body}: Answer): number => z.object({data: z.object({id: z.int()})}).parse(body).data.id;
const remove = (id: number): Promise<Answer> => api.call('DELETE', `${PATH}/${id}`, {token: admin});

test('a number is never that of an earlier group, by the clock', async () => {
  const began = Math.floor((Date.now() - Date.UTC(2026, 0, 1)) / 1000);
  const [first, second] = [madeId(await post({name: 'first'})), madeId(await post({name: 'second'}))];
  expect(first).toBeGreaterThanOrEqual(began - 60);
  expect(second).toBeGreaterThan(first);
  for (const id of [first, second]) expect((await remove(id)).status).toBe(204);
});

test('a region has so many groups, and no more', async () => {
  const job = region.shards.control('job');
  const fill = (count: number, what: string): Promise<unknown> =>
    job.query(
      `insert into control.device_group (group_id, name, filter, deleted_at) overriding system value
       select 1000000 + n, 'filler ' || n, ${what} from generate_series(1, $1::int) n`,
      [count],
    );
  const clear = () => job.query(`delete from control.device_group where name like 'filler %'`);
  for (const [count, what, body] of [
    [MOST_GROUPS.living - 1, 'null, null', {name: 'one more'}],
    [MOST_GROUPS.dynamic, `'status==late', null`, {name: 'one more', filter: 'status==late'}],
    [MOST_GROUPS.rows, 'null, now()', {name: 'one more'}],
  ] as const) {
    await fill(count, what);
    expect((await post(body)).body).toMatchObject({
      status: 409,
      detail: expect.stringMatching(/at most/) as unknown,
    });
    await clear();
    expect((await remove(madeId(await post(body)))).status).toBe(204);
  }
});

test('of those who make a group of one name at the same moment one does, and a group that is asked for is not deleted meanwhile', async () => {
  const answers = await Promise.all(Array.from({length: 5}, () => post({name: 'wanted'})));
  expect(answers.map(({status}) => status).sort()).toEqual([201, 409, 409, 409, 409]);
  const [made] = answers.filter(({status}) => status === 201).map(madeId);
  const [asking, removed] = await Promise.all([post({name: 'asking', filter: 'group==wanted'}), remove(made ?? 0)]);
  expect([[201, 409].join(), [400, 204].join()]).toContain([asking.status, removed.status].join());
});

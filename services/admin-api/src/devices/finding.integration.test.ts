import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {bringRecencyUpToDate} from '@pisync/core/devices/recency-pass';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import type {CacheAccess} from '../caching/read-through.ts';
import {type SeededDevice, seedApiToken, seedDevices} from '../testing/seed.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const NO_CACHE: CacheAccess = {use: () => Promise.resolve(undefined)};

const pageSchema = z.object({
  data: z.array(z.looseObject({id: z.string()})),
  hasNextPage: z.boolean(),
  nextCursor: z.string().nullable(),
  count: z.object({value: z.int(), exact: z.boolean(), atLeast: z.boolean()}).optional(),
  sortedAsOf: z.string().nullable().optional(),
});

let region: TestShards;
let api: TestApi;
let devices: readonly SeededDevice[];
let viewer: string;
/** What the region takes for now; else it is now. */
let clockMs: number | undefined;

beforeAll(async () => {
  region = await createTestShards({shards: 3});
  devices = await seedDevices(region.shards, 60);
  viewer = await seedApiToken(region.shards, 'viewer');
  api = await startTestApi({shards: region.shards, cache: NO_CACHE, now: () => clockMs ?? Date.now()});
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
}, 30_000);

const ask = (query: Readonly<Record<string, string>>) =>
  api.call('GET', `/api/v1/devices?${new URLSearchParams(query).toString()}`, {token: viewer});
const page = async (query: Readonly<Record<string, string>>) => {
  const answer = await ask(query);
  expect({query, status: answer.status}).toEqual({query, status: 200});
  return pageSchema.parse(answer.body);
};

const readAll = async (query: Readonly<Record<string, string>>): Promise<readonly string[]> => {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const found: z.output<typeof pageSchema> = await page(cursor === null ? query : {...query, cursor});
    ids.push(...found.data.map(({id}) => id));
    cursor = found.hasNextPage ? found.nextCursor : null;
  } while (cursor !== null);
  return ids;
};

const passAll = async (): Promise<void> => {
  for (const shard of region.shards.ids())
    await bringRecencyUpToDate(region.shards.pool(shard, 'job'), {fence: () => Promise.resolve()});
};

test('a list by last sync says as of when it is, also where nobody knows; others do not', async () => {
  expect(await page({sort: 'lastSync', limit: '1'})).toMatchObject({sortedAsOf: null});
  const before = Date.now();
  await passAll();
  for (const query of [{sort: '-lastSeen'}, {filter: 'lastSync<-P1D'}]) {
    const {sortedAsOf} = await page({...query, limit: '1'});
    expect(Math.abs(Date.parse(sortedAsOf ?? '') - before)).toBeLessThan(60_000);
  }
  expect(await page({sort: 'name', limit: '1'})).not.toHaveProperty('sortedAsOf');
});

test.each(['id', 'name', 'lastSync', 'lastSeen', 'enrolledAt', 'statusSince'])(
  'every device is there once, sorted by %s over all shards and both ways, those without a value at the end',
  async (sort) => {
    for (const [index, {deviceKey, shard}] of devices.entries()) {
      const pool = region.shards.pool(shard, 'job');
      // Some are alike, some have none, and bytes sort otherwise than languages do.
      const name = index % 7 === 0 ? null : (['Zoë', 'ab', 'Ab', '𝒜', 'ﬁ', 'z'][index % 6] ?? null);
      await pool.query('update device set name = $2, enrolled_at = $3 where device_key = $1', [
        ...[deviceKey, name, new Date(Date.UTC(2026, 0, 1 + (index % 9)))],
      ]);
      if (index % 5 === 0) continue;
      await pool.query(
        `update device_state set last_sync_at = timestamptz '2026-01-01' + $2::int * interval '1 us', last_seen_at = last_sync_at, tx_id = pg_current_xact_id()::text::bigint
         where device_key = $1`,
        [deviceKey, (index * 37) % 11],
      );
    }
    await passAll();
    const column =
      {
        id: 'device_id',
        name: 'd.name',
        lastSync: 's.last_sync_at',
        lastSeen: 's.last_seen_at',
        enrolledAt: 'd.enrolled_at',
        statusSince: 't.since',
      }[sort] ?? '';
    const rows: {readonly id: string; readonly value: string | null}[] = [];
    for (const shard of region.shards.ids()) {
      const found = await region.shards.pool(shard, 'job').query<{id: string; value: string | null}>(
        `select d.device_id as id, ${sort === 'id' ? 'null' : sort === 'name' ? column : `extract(epoch from ${column})::text`} as value
         from device d join device_state s using (device_key) join device_status t using (device_key)`,
      );
      rows.push(...found.rows);
    }
    const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
    for (const sign of [1, -1]) {
      const expected = rows.toSorted((a, b) => {
        if ((a.value === null) !== (b.value === null)) return a.value === null ? 1 : -1;
        const byValue = sort === 'name' ? byBytes(a.value ?? '', b.value ?? '') : Number(a.value) - Number(b.value);
        return sign * (byValue === 0 ? byBytes(a.id, b.id) : byValue);
      });
      const query = {sort: `${sign === 1 ? '' : '-'}${sort}`, limit: '7'};
      expect(await readAll(query)).toEqual(expected.map(({id}) => id));
    }
  },
);

test('a search finds parts of names and hardware ids in either case, and how ids begin, beside a filter', async () => {
  const [one, two] = devices;
  if (one === undefined || two === undefined) throw new Error('no devices were seeded');
  const pool = region.shards.pool(one.shard, 'job');
  await pool.query(`update device set name = 'Attic 100% \\_ North', hardware_id = 'SN-77QX' where device_key = $1`, [
    one.deviceKey,
  ]);
  for (const q of ['ttic', 'ATTIC', '100% ', '_ north', '7qx', 'at', 'SN', one.id, one.id.slice(0, 11)])
    expect({q, ids: await readAll({q})}).toEqual({q, ids: [one.id]});
  // Without a letter or digit behind the first character it is how one of them begins.
  for (const q of ['attic%', '_ttic', 'ic', 'zzz', '% \\_', '   ', '0% '])
    expect({q, ids: await readAll({q})}).toEqual({q, ids: []});
  await pool.query(`update device set name = '%%% Attic' where device_key = $1`, [one.deviceKey]);
  for (const q of ['%%%', '%%% ', '%% a']) expect({q, ids: await readAll({q})}).toEqual({q, ids: [one.id]});
  expect(await readAll({q: 'attic', filter: `group!=nobody;id!=${one.id}`})).toEqual([]);
  expect(await readAll({q: 'hw-', status: two.status, filter: `id==${two.id}`, sort: '-name'})).toEqual([two.id]);
  expect(await readAll({q: ''})).toHaveLength(devices.length);
});

test('an unknown order is refused with the known ones, and a cursor belongs to its order and search', async () => {
  const answer = await ask({sort: 'model'});
  expect(answer).toMatchObject({
    status: 400,
    body: {errors: [{pointer: '/sort', detail: expect.stringMatching(/lastSync/) as unknown}]},
  });
  const {nextCursor} = await page({sort: 'name', q: 'hw', limit: '5'});
  for (const query of [{sort: '-name', q: 'hw'}, {q: 'hw'}, {sort: 'name'}, {sort: 'name', q: 'hw-'}])
    expect(await ask({...query, cursor: nextCursor ?? ''})).toMatchObject({
      status: 400,
      body: {errors: [{pointer: '/cursor'}]},
    });
  await page({sort: 'name', q: 'hw', cursor: nextCursor ?? '', limit: '9'});
});

test('times from now are what they were on the first page', async () => {
  const old = devices.slice(0, 20);
  for (const {deviceKey, shard} of devices)
    await region.shards
      .pool(shard, 'job')
      .query('update device set enrolled_at = $2 where device_key = $1', [
        deviceKey,
        old.some((one) => one.deviceKey === deviceKey) ? '2026-01-01T00:00Z' : '2026-01-06T00:00Z',
      ]);
  try {
    clockMs = Date.UTC(2026, 0, 8);
    const query = {filter: 'enrolledAt<-P3D', limit: '5'};
    const first = await page(query);
    clockMs = Date.UTC(2026, 0, 20);
    const second = await page({...query, cursor: first.nextCursor ?? ''});
    const rest = await readAll({...query, limit: '50', cursor: second.nextCursor ?? ''});
    const found = [...first.data.map(({id}) => id), ...second.data.map(({id}) => id), ...rest];
    expect(found).toEqual(old.map(({id}) => id).sort());
  } finally {
    clockMs = undefined;
  }
});

test('a list says how many it has where it is asked to', async () => {
  expect(await page({limit: '1'})).not.toHaveProperty('count');
  const counts = async (query: Readonly<Record<string, string>>) =>
    (await page({...query, limit: '2', count: 'true'})).count;
  const late = devices.filter(({status}) => status === 'late');
  for (const [query, value] of [
    [{}, devices.length],
    [{status: 'late'}, late.length],
    [{filter: 'group==north,shard==1'}, devices.filter(({group, shard}) => group === 'north' || shard === 1).length],
    [{filter: 'status==late;name!=nobody'}, late.length],
    [{filter: 'shard==1;name!=nobody'}, devices.filter(({shard}) => shard === 1).length],
    [{q: 'zzz'}, 0],
    [{group: 'nobody'}, 0],
  ] as const)
    expect({query, count: await counts(query)}).toMatchObject({query, count: {value, exact: true, atLeast: false}});
});

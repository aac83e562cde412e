import {afterAll, beforeAll, describe, expect, jest, test} from '@jest/globals';
import {bringRecencyUpToDate} from '../devices/recency-pass.ts';
import {type DeviceCondition, deviceCondition} from '../filters/device-condition.ts';
import {parseFilter} from '../filters/parse-filter.ts';
import {seedManyDevices} from '../testing/many-devices.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {countMatching} from './device-count.ts';
import {gatheredSql, type ListBounds, listDevices} from './device-list.ts';
import {comparePlaces, DEVICE_SORTS, type DeviceOrder, type Place} from './device-order.ts';
import {sourcesOf} from './device-sql.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(120_000);

const COUNT = 300;
/** So few that every way to a page is taken. */
const FEW: ListBounds = {firstLook: 7, gathered: 60, examined: 40};

/** A device as the tests see it: what filters and orders go by. Times are microseconds as text, null where there is none. */
interface Known {
  readonly id: string;
  readonly name: string | null;
  readonly hardwareId: string;
  readonly model: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly group: number;
  readonly status: string;
  readonly revoked: boolean;
  readonly decommissioned: boolean;
  readonly disputed: boolean;
  readonly lastSync: string | null;
  readonly lastSeen: string | null;
  readonly enrolledAt: string;
  readonly statusSince: string;
}

let bench: TestShards;
let devices: readonly Known[];

const readAll = async (): Promise<readonly Known[]> => {
  const us = (column: string): string => `(extract(epoch from ${column}) * 1000000)::bigint::text`;
  const {rows} = await bench.shards.pool(0, 'job').query<Known>(
    `select d.device_id as id, d.name, d.hardware_id as "hardwareId", d.model, d.tags, t.group_id as group, t.status,
            d.revoked_at is not null as revoked, d.decommissioned_at is not null as decommissioned, (d.disputed_until > now()) is true as disputed,
            ${us('r.last_sync_at')} as "lastSync", ${us('r.last_seen_at')} as "lastSeen",
            ${us('d.enrolled_at')} as "enrolledAt", ${us('t.since')} as "statusSince"
     from device d join device_status t using (device_key) join device_recency r using (device_key)`,
  );
  return rows;
};

beforeAll(async () => {
  bench = await createTestShards({shards: 1});
  await seedManyDevices(bench.shards.pool(0, 'job'), {from: 1, count: COUNT});
  await bringRecencyUpToDate(bench.shards.pool(0, 'job'), {fence: () => Promise.resolve()});
  devices = await readAll();
});
afterAll(() => bench.close());

const groups = {idOf: Number, filterOf: () => undefined};
const conditionOf = (filter: string): DeviceCondition => {
  const parsed = parseFilter(filter);
  return parsed === undefined ? {kind: 'always'} : deviceCondition(parsed, {nowMs: Date.UTC(2026, 6, 2), groups});
};

const placeOf = (device: Known, {by}: DeviceOrder): Place => ({value: by === 'id' ? null : device[by], id: device.id});
const inOrder = (of: readonly Known[], order: DeviceOrder): readonly string[] =>
  of.toSorted((a, b) => comparePlaces(order)(placeOf(a, order), placeOf(b, order))).map(({id}) => id);

const pagesOf = async (
  condition: DeviceCondition,
  order: DeviceOrder,
  limit: number,
  bounds?: ListBounds,
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<{readonly ids: readonly string[]; readonly pages: number}> => {
  const ids: string[] = [];
  let after: Place | undefined;
  for (let pages = 1; ; pages++) {
    const page = await listDevices(
      bench.shards,
      {shard: 0, condition, order, after, limit, fields: ['name'], shardsAsked: 1, leftMs: () => 60_000},
      bounds,
    );
    ids.push(...page.rows.map(({deviceId}) => deviceId));
    const last = page.rows.at(-1);
    if (page.end === undefined && page.rows.length < limit) return {ids, pages};
    after = page.end ?? (last && {value: last.sortValue, id: last.deviceId});
    if (pages > 2 * COUNT) throw new Error(`the pages go on and on: ${JSON.stringify({after})}`);
    await between();
  }
};

const ORDERS: readonly DeviceOrder[] = DEVICE_SORTS.flatMap((by) => [
  {by, descending: false},
  {by, descending: true},
]);

const us = (time: string): number => Date.parse(time) * 1000;
const FILTERS: Readonly<Record<string, (device: Known) => boolean>> = {
  '': () => true,
  'status==failing': ({status}) => status === 'failing',
  'status==on_time;group==1': ({status, group}) => status === 'on_time' && group === 1,
  'group==12': ({group}) => group === 12,
  'group!=1;status=in=(late,silent)': ({group, status}) => group !== 1 && ['late', 'silent'].includes(status),
  'name==Oak-1*': ({name}) => name?.startsWith('Oak-1') === true,
  'name=in=(elm-10,ash-12,"nobody")': ({name}) => name === 'elm-10' || name === 'ash-12',
  'name!=elm-10;model=="Raspberry Pi 5 rare"': ({name, model}) => name !== 'elm-10' && model === 'Raspberry Pi 5 rare',
  'name!=Oak*;status==pending': ({name, status}) => name?.startsWith('Oak') !== true && status === 'pending',
  'hardwareId==hw-0*': ({hardwareId}) => hardwareId.startsWith('hw-0'),
  'tags.site==s-12': ({tags}) => tags['site'] === 's-12',
  'tags.ring=in=(0,2);tags.site!=s-12': ({tags}) => ['0', '2'].includes(tags['ring'] ?? '') && tags['site'] !== 's-12',
  'tags.ring==1;tags.nothing==x': () => false,
  'revoked==true': ({revoked}) => revoked,
  'revoked==false;status==late': ({revoked, status}) => !revoked && status === 'late',
  'decommissioned==true': ({decommissioned}) => decommissioned,
  'decommissioned==false;revoked==true': ({decommissioned, revoked}) => revoked && !decommissioned,
  'disputed==true': ({disputed}) => disputed,
  'disputed!=true;group==12': ({disputed, group}) => !disputed && group === 12,
  'lastSync<-P1DT12H': ({lastSync}) => lastSync !== null && Number(lastSync) < us('2026-06-30T12:00Z'),
  'lastSync=ge=2026-07-02;lastSeen<=2026-07-02T01:00:00Z': ({lastSync, lastSeen}) =>
    Number(lastSync) >= us('2026-07-02') && lastSeen !== null && Number(lastSeen) <= us('2026-07-02T01:00Z'),
  'enrolledAt<2026-01-01T01:00:00Z': ({enrolledAt}) => Number(enrolledAt) < us('2026-01-01T01:00Z'),
  'statusSince>2026-08-04,tags.site==s-5': ({statusSince, tags}) =>
    Number(statusSince) > us('2026-08-04') || tags['site'] === 's-5',
  '(name==fir*,name==ash*);(status==late,revoked==true);tags.ring!=1': ({name, status, revoked, tags}) =>
    (name?.startsWith('fir') === true || name?.startsWith('ash') === true) &&
    (status === 'late' || revoked) &&
    tags['ring'] !== '1',
};

describe.each(ORDERS)('by $by, descending $descending', (order) => {
  test.each(Object.keys(FILTERS))('the pages of "%s" have every device once, in order', async (filter) => {
    const expected = inOrder(devices.filter(FILTERS[filter] ?? (() => false)), order);
    const condition = conditionOf(filter);
    expect((await pagesOf(condition, order, 1000)).ids).toEqual(expected);
    expect((await pagesOf(condition, order, 20, FEW)).ids).toEqual(expected);
  });
});

test.each(['Oak-1', 'EFIR', 'hw-0', 'w-0', '0', 'fir', 'a'])(
  'a search for %s finds the same whatever the way to it',
  async (text) => {
    const digits = text.toLowerCase();
    const isIn = (value: string | null): boolean =>
      text.length < 3
        ? value?.toLowerCase().startsWith(digits) === true
        : value?.toLowerCase().includes(digits) === true;
    const expected = devices.filter(
      ({name, hardwareId, id}) =>
        isIn(name) || isIn(hardwareId) || (/^[0-9a-f]+$/.test(digits) && id.startsWith(digits)),
    );
    for (const order of ORDERS.slice(0, 4)) {
      const ids = inOrder(expected, order);
      for (const bounds of [FEW, undefined])
        expect((await pagesOf({kind: 'search', text}, order, 20, bounds)).ids).toEqual(ids);
    }
  },
);

test.each(Object.keys(FILTERS))('"%s" is counted, or so many of it as there is time for', async (filter) => {
  const value = devices.filter(FILTERS[filter] ?? (() => false)).length;
  const options = {shard: 0, condition: conditionOf(filter), monotonic: () => 0};
  expect(await countMatching(bench.shards, {...options, budgetMs: 60_000})).toEqual({value, isAll: true});
});

test('a count without time says that there may be more', async () => {
  const options = {shard: 0, condition: conditionOf('shard==0;name!=x'), budgetMs: 0, monotonic: () => 0};
  expect(await countMatching(bench.shards, options)).toEqual({value: 0, isAll: false});
});

test('what is counted by an index leaves time for what is met on the way, and a count ends with its time', async () => {
  const [late, tagged] = [conditionOf('status==late'), conditionOf('tags.site==s-12')];
  const monotonic = (): number => performance.now();
  const holder = await bench.shards.pool(0, 'job').connect();
  try {
    // Who asks an index looks at this table too.
    await holder.query('begin; lock table device');
    const value = devices.filter(({status}) => status === 'late').length;
    expect(await countMatching(bench.shards, {shard: 0, condition: late, budgetMs: 2_000, monotonic})).toEqual({
      value,
      isAll: true,
    });
    const began = monotonic();
    expect(await countMatching(bench.shards, {shard: 0, condition: tagged, budgetMs: 500, monotonic})).toEqual({
      value: 0,
      isAll: false,
    });
    expect(monotonic() - began).toBeLessThan(3_000);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
});

test('the look-ups of a source are made until there is enough', async () => {
  const beginnings = ['Oak', 'elm', 'ash', 'fir', 'Oa', 'el'].map((text) => `name==${text}*`).join(',');
  const [source] = sourcesOf(conditionOf(beginnings));
  if (source === undefined) throw new Error('beginnings have an index');
  const values: unknown[] = [];
  const sql = gatheredSql(source, 20, (value) => `$${values.push(value)}`);
  const {rows} = await bench.shards
    .pool(0, 'job')
    .query<{'QUERY PLAN': string}>(`explain (analyze, timing off) with ${sql} select * from w`, values);
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  expect(plan.match(/never executed/g)?.length ?? 0).toBeGreaterThanOrEqual(4);
});

test.each([
  ['few look-ups come before those of a group', 'group==12;name=in=(Oak-1*,elm-1*)', 'prefix', 2],
  ['many come behind, so who has a group asks for no more than that', 'group==12;name=in=(a*,b*,c*,d*)', 'is', 1],
  ['many tags come behind as well', 'group==12;tags.site=in=(a,b,c,d)', 'is', 1],
])('%s', (_what, filter, kind, count) => {
  const [source] = sourcesOf(conditionOf(filter));
  expect(source?.any.map((leaf) => leaf.kind)).toEqual(Array.from({length: count}, () => kind));
});

test('a page looks at so many devices and is given short', async () => {
  const order: DeviceOrder = {by: 'name', descending: true};
  const condition = conditionOf('status==on_time;tags.nothing!=x;hardwareId!=hw*');
  const {ids, pages} = await pagesOf(condition, order, 50, FEW);
  expect(ids).toEqual([]);
  expect(pages).toBeGreaterThan(COUNT / FEW.examined / 2);
  expect((await pagesOf(condition, order, 50)).pages).toBe(1);
});

test.each(ORDERS)(
  'by $by, descending $descending: who pages while devices come, go and change misses and doubles none that stayed where it was',
  async (order) => {
    const before = await readAll();
    const pool = bench.shards.pool(0, 'job');
    let turn = 0;
    const moved = new Set<string>();
    const change = async (): Promise<void> => {
      turn++;
      // What changes may always be ahead.
      if (turn > 12) return;
      await seedManyDevices(pool, {from: 1_000_000 + turn * 10 + ORDERS.indexOf(order) * 100_000, count: 5});
      const gone = await pool.query<{id: string}>(
        `with few as (select device_key from device order by md5(device_id::text || $1::int) limit 3),
              s as (delete from device_status where device_key in (select device_key from few)),
              r as (delete from device_recency where device_key in (select device_key from few)),
              d as (delete from device where device_key in (select device_key from few) returning device_id)
         select device_id as id from d`,
        [turn],
      );
      const changed = await pool.query<{id: string}>(
        `with few as (select device_key from device order by md5(device_id::text || $1::int || 'x') limit 20),
              s as (update device_status set since = since + $1::int * interval '1 hour' where device_key in (select device_key from few)),
              r as (update device_recency set last_sync_at = now(), last_seen_at = null where device_key in (select device_key from few)),
              d as (update device set name = case when $1::int % 2 = 0 then 'moved-' || $1::int end, enrolled_at = enrolled_at + $1::int * interval '1 day'
                    where device_key in (select device_key from few) returning device_id)
         select device_id as id from d`,
        [turn],
      );
      await bringRecencyUpToDate(pool, {fence: () => Promise.resolve()});
      for (const {id} of gone.rows) moved.add(id);
      if (order.by !== 'id') for (const {id} of changed.rows) moved.add(id);
    };
    const {ids, pages} = await pagesOf({kind: 'always'}, order, 15, undefined, change);
    expect(pages).toBeGreaterThan(10);
    const stayed = before.filter(({id}) => !moved.has(id));
    expect(stayed.length).toBeGreaterThan(80);
    const seen = ids.filter((id) => !moved.has(id) && before.some((device) => device.id === id));
    expect(seen).toEqual(inOrder(stayed, order));
  },
);

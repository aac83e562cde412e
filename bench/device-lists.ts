/**
 * `node bench/device-lists.ts [devices]`: how long a shard takes for a page of devices, by every order, filter and search, first, in the middle and last. Reads
 * PISYNC_TEST_POSTGRES_URL. Two shards, a million devices together where no number is given. Times are of the processor, by the server's processes, which have to run on this
 * machine: what others do on it counts for little then.
 */
import {readFileSync} from 'node:fs';
import {bringRecencyUpToDate} from '@pisync/core/devices/recency-pass';
import {type DeviceCondition, deviceCondition} from '@pisync/core/filters/device-condition';
import {parseFilter} from '@pisync/core/filters/parse-filter';
import {listDevices} from '@pisync/core/queries/device-list';
import {DEVICE_SORTS, type DeviceOrder, type Place} from '@pisync/core/queries/device-order';
import {seedManyDevices} from '@pisync/core/testing/many-devices';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';

const SHARDS = 2;
const AT_ONCE = 20_000;
const ROUNDS = 60;
const FIELDS = ['name', 'groupId', 'status', 'lastSyncAt', 'lastSeenAt', 'recordsTotal', 'syncsTotal'] as const;
const print = (text: string): void => void process.stdout.write(`${text}\n`);

const FILTERS = [
  'status==late',
  'status==failing;group==1',
  'group==12',
  'name==Oak-12*',
  'hardwareId==hw-0a1*',
  'tags.site==s-12',
  'tags.ring==1;status==silent',
  'lastSync<-P2D;group==12',
  'revoked==true',
  'statusSince>2026-08-03T20:00:00Z;tags.site=in=(s-5,s-6)',
  'model=="Raspberry Pi 5 rare";name!=Oak*',
  'name==elm-77;tags.ring!=2',
];
const SEARCHES = ['oak-1234', 'hw-0a1b', 'elm-7', '0a1', 'ir-16', 'Oak', 'zzz'];

interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}
const spreadOf = (times: readonly number[]): Spread => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  return {p50: at(0.5), p99: at(0.99), most: at(1)};
};

const seed = async (bench: TestShards, each: number): Promise<void> => {
  for (let shard = 0; shard < SHARDS; shard++) {
    const pool = bench.shards.pool(shard, 'job');
    for (let from = 0; from < each; from += AT_ONCE) {
      await seedManyDevices(pool, {from: 1 + shard * each + from, count: Math.min(AT_ONCE, each - from)});
    }
    const began = performance.now();
    await bringRecencyUpToDate(pool, {fence: () => Promise.resolve()});
    const filled = performance.now();
    await pool.query('vacuum analyze');
    const vacuumed = performance.now();
    await bringRecencyUpToDate(pool, {fence: () => Promise.resolve()});
    const idle = performance.now() - vacuumed;
    print(
      `shard ${shard}: first pass of the recency ${Math.round(filled - began)} ms, one with nothing to do ${Math.round(idle)} ms`,
    );
  }
};

/** Milliseconds that processes have run so far (proc_pid_schedstat, the first number is in nanoseconds). */
const ranMs = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0);

const readersOf = async (bench: TestShards): Promise<readonly number[]> => {
  await bench.shards.pool(0, 'dashboard').query('select');
  const {rows} = await bench.shards
    .pool(0, 'job')
    .query<{pid: number}>(
      `select pid from pg_stat_activity where application_name like '%/dashboard' and datname = current_database()`,
    );
  return rows.map(({pid}) => pid);
};

const timed = async (pids: readonly number[], work: () => Promise<unknown>, times: number[]): Promise<void> => {
  const before = ranMs(pids);
  await work();
  times.push(ranMs(pids) - before);
};

/** Places all over a list: its first page, some within, and its last. */
const placesOf = async (bench: TestShards, order: DeviceOrder): Promise<readonly (Place | undefined)[]> => {
  const column = {
    id: 'null',
    name: 'd.name',
    lastSync: 'r.last_sync_at',
    lastSeen: 'r.last_seen_at',
    enrolledAt: 'd.enrolled_at',
    statusSince: 't.since',
  }[order.by];
  const text =
    order.by === 'id'
      ? 'null::text'
      : order.by === 'name'
        ? column
        : `(extract(epoch from ${column}) * 1000000)::bigint::text`;
  const {rows} = await bench.shards.pool(0, 'job').query<Place>(
    `select ${text} as value, d.device_id as id from device d join device_status t using (device_key) join device_recency r using (device_key)
     where d.device_id::text like '00%' or d.device_id::text like 'fff%' order by random() limit 30`,
  );
  return [
    undefined,
    ...rows,
    {
      value: null,
      id: order.descending ? '00000000-0000-0000-0000-00000000ffff' : 'ffff0000-0000-0000-0000-000000000000',
    },
  ];
};

const measure = async (bench: TestShards): Promise<void> => {
  const lookups: number[] = [];
  const rows: (readonly [string, Spread, string])[] = [];
  const run = async (
    what: string,
    condition: DeviceCondition,
    order: DeviceOrder,
    places: readonly (Place | undefined)[],
  ): Promise<void> => {
    const times: number[] = [];
    let found = 0;
    let short = 0;
    const pids = await readersOf(bench);
    for (let round = 0; round < ROUNDS; round++) {
      const query = {
        shard: 0,
        condition,
        order,
        after: places[round % places.length],
        limit: 51,
        fields: FIELDS,
        shardsAsked: SHARDS,
        leftMs: () => 60_000,
      };
      await timed(
        pids,
        async () => {
          const page = await listDevices(bench.shards, query);
          found += page.rows.length;
          if (page.end !== undefined) short++;
        },
        times,
      );
      await timed(
        pids,
        () =>
          bench.shards
            .pool(0, 'dashboard')
            .query(`select name from device where device_id = md5($1)::uuid`, [`device ${round}`]),
        lookups,
      );
    }
    rows.push([
      what,
      spreadOf(times),
      `${Math.round(found / ROUNDS)} rows${short === 0 ? '' : `, ${short} of ${ROUNDS} given short`}`,
    ]);
  };
  const groups = {idOf: Number, filterOf: () => undefined};
  const nowMs = Date.UTC(2026, 6, 3);
  for (const by of DEVICE_SORTS) {
    for (const descending of [false, true]) {
      const order = {by, descending};
      await run(`sort ${descending ? '-' : ''}${by}`, {kind: 'always'}, order, await placesOf(bench, order));
    }
  }
  for (const order of [
    {by: 'id', descending: false},
    {by: 'name', descending: true},
    {by: 'lastSync', descending: false},
  ] as const) {
    for (const filter of FILTERS) {
      const parsed = parseFilter(filter);
      if (parsed === undefined) continue;
      await run(
        `${filter}  by ${order.by}`,
        deviceCondition(parsed, {nowMs, groups}),
        order,
        (await placesOf(bench, order)).slice(0, 6),
      );
    }
    for (const text of SEARCHES)
      await run(`q=${text}  by ${order.by}`, {kind: 'search', text}, order, (await placesOf(bench, order)).slice(0, 6));
  }
  const one = spreadOf(lookups);
  print(`one look-up: p50 ${one.p50.toFixed(2)} ms, p99 ${one.p99.toFixed(2)} ms`);
  for (const [what, {p50, p99, most}, note] of rows)
    print(
      `${what.padEnd(70)} p50 ${p50.toFixed(1).padStart(6)}  p99 ${p99.toFixed(1).padStart(6)}  most ${most.toFixed(1).padStart(6)} ms  ${note}`,
    );
};

const devices = Number(process.argv[2] ?? 1_000_000);
const bench = await createTestShards({shards: SHARDS});
try {
  await seed(bench, Math.ceil(devices / SHARDS));
  await measure(bench);
} finally {
  await bench.close();
}

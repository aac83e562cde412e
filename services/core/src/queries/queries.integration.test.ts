import {createHash, randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {createDeviceKeys} from '../devices/device-keys.ts';
import {enrol} from '../devices/enrolment.ts';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import {JsonText} from '../json/json-text.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {listDevices} from './device-list.ts';
import {findDevices} from './devices.ts';
import {listReceipts} from './receipts.ts';
import {listRecords} from './records.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
});
afterAll(() => bench.close());

/** Devices on both shards; the one at place n has n receipts of three records each. */
const seeded = async (count: number) => {
  const keys = createDeviceKeys(bench.shards);
  const devices = [];
  for (let index = 0; index < count; index++) {
    const deviceId = randomUUID();
    const secretHash = createHash('sha256').update(deviceId).digest();
    const made = await enrol(bench.shards, keys, {deviceId, hardwareId: deviceId, secretHash, groupId: DEFAULT_GROUP});
    if (made.kind === 'refused') throw new Error('a new device is let in');
    const pool = bench.shards.pool(bench.shards.shardOfDevice(deviceId), 'job');
    await pool.query(
      `insert into receipt (device_key, epoch, batch_seq, content_hash, outcome, record_count, bad_count, mode, received_day, received_at)
       select $1, 1, b, '', 'applied', 3, 0, 'delta', current_date - b % 2, now() from generate_series(1, $2::int) b`,
      [made.deviceKey, index],
    );
    await pool.query(
      `insert into record (device_key, epoch, batch_seq, ordinal, seq, kind, data, received_day, received_at)
       select $1, 1, b, o, b * 3 + o, 'k', to_jsonb(repeat('x', 1000)), current_date - b % 2, now()
       from generate_series(1, $2::int) b, generate_series(0, 2) o`,
      [made.deviceKey, index],
    );
    devices.push({deviceId, deviceKey: made.deviceKey, slot: made.slot});
  }
  return devices;
};

test('pages of many devices come in their order, from one statement a shard', async () => {
  const devices = await seeded(6);
  const pages = devices.toReversed().map((device) => ({device, before: {epoch: 1, batchSeq: 5}}));
  const asked = jest.spyOn(pg.Pool.prototype, 'query');
  try {
    const found = await listReceipts(bench.shards, pages, 3);
    expect(found.map((rows) => rows.map(({batchSeq}) => batchSeq))).toEqual([
      [4, 3, 2],
      [4, 3, 2],
      [3, 2, 1],
      [2, 1],
      [1],
      [],
    ]);
    expect(asked.mock.calls.length).toBeLessThanOrEqual(2);
  } finally {
    asked.mockRestore();
  }
  const unknown = randomUUID();
  const ids = [devices[3]?.deviceId ?? '', unknown, devices[0]?.deviceId ?? ''];
  expect((await findDevices(bench.shards, ids)).map((device) => device?.deviceId)).toEqual([ids[0], undefined, ids[2]]);
});

test('records are paged by batch and place, and devices share the bytes of a page', async () => {
  const [, , two, three] = await seeded(4);
  if (two === undefined || three === undefined) throw new Error('four devices were not made');
  const [first, second] = await listRecords(
    bench.shards,
    [{device: three, before: {epoch: 1, batchSeq: 3, ordinal: 1}}, {device: two}],
    4,
  );
  const names = (rows: typeof first) => rows?.rows.map(({batchSeq, ordinal}) => `${batchSeq}/${ordinal}`);
  expect(names(first)).toEqual(['3/0', '2/2', '2/1', '2/0']);
  expect(first?.hasNextPage).toBe(true);
  expect(names(second)).toEqual(['2/2', '2/1', '2/0', '1/2']);
  expect(second?.hasNextPage).toBe(true);
  const many = await listRecords(
    bench.shards,
    Array.from({length: 250}, () => ({device: three})),
    9,
  );
  // Two thousand bytes each: two records.
  expect(new Set(many.map(({rows}) => rows.length))).toEqual(new Set([2]));
});

interface Plan {
  readonly Plans?: readonly Plan[];
  readonly 'Run Condition'?: string;
  readonly 'Actual Rows': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
}

/** What `read` reads with its one statement, whatever goes with it, how many blocks that looks at, and how many rows it writes out to measure them. */
const costOf = async <T>(
  read: () => Promise<T>,
): Promise<{readonly value: T; readonly blocks: number; readonly written: number}> => {
  const asked = jest.spyOn(pg.Client.prototype, 'query');
  const connected = jest.spyOn(pg.Pool.prototype, 'connect');
  let value: T;
  let calls: readonly (readonly unknown[])[] = [];
  let pool: pg.Pool | undefined;
  try {
    value = await read();
    calls = asked.mock.calls;
    // What the method was called on.
    pool = connected.mock.contexts.at(-1) as pg.Pool | undefined;
  } finally {
    asked.mockRestore();
    connected.mockRestore();
  }
  // As our queries are sent: a text and values, or both in one object.
  const statements = calls.map((call) => {
    const [query, values] = call as readonly [string | {readonly text: string; readonly values: unknown[]}, unknown[]?];
    return typeof query === 'string' ? {text: query, values} : query;
  });
  const {text, values: parameters} = statements.findLast(({text}) => text.includes(' from ')) ?? {text: ''};
  const plan = await pool?.query<{'QUERY PLAN': readonly {readonly Plan: Plan}[]}>(
    `explain (analyze, buffers, format json) ${text}`,
    parameters,
  );
  const top = plan?.rows[0]?.['QUERY PLAN'][0]?.Plan;
  const nodes = (node: Plan): readonly Plan[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
  const ended = top && nodes(top).find((node) => node['Run Condition'] !== undefined);
  return {
    value,
    blocks: (top?.['Shared Hit Blocks'] ?? NaN) + (top?.['Shared Read Blocks'] ?? NaN),
    written: ended?.Plans?.[0]?.['Actual Rows'] ?? Infinity,
  };
};

test('what takes little room and has a long text is written out up to a page and no further', async () => {
  const [device] = await seeded(1);
  if (device === undefined) throw new Error('no device was made');
  const pool = bench.shards.pool(bench.shards.shardOfDevice(device.deviceId), 'job');
  // Of 63,000 bytes each: what packs well, and numbers that are short as they are stored.
  for (const [one, times] of [
    ['0', 21_000],
    ['1e308', 203],
  ] as const) {
    await pool.query('delete from record where device_key = $1', [device.deviceKey]);
    await pool.query(
      `insert into record (device_key, epoch, batch_seq, ordinal, seq, kind, data, received_day, received_at)
       select $1, 1, b, 0, b, 'k', $2::jsonb, current_date, now() from generate_series(1, 600) b`,
      [device.deviceKey, `[${Array.from({length: times}, () => one).join()}]`],
    );
    const {value, written} = await costOf(() => listRecords(bench.shards, [{device}], 500));
    expect(value[0]?.rows).toHaveLength(8);
    expect(value[0]?.hasNextPage).toBe(true);
    expect(written).toBeLessThan(40);
  }
});

test('what does not fit into a page is not fetched for it', async () => {
  const [device] = await seeded(1);
  if (device === undefined) throw new Error('no device was made');
  const pool = bench.shards.pool(bench.shards.shardOfDevice(device.deviceId), 'job');
  const large = `(select jsonb_build_object('text', string_agg(md5(n::text), '')) from generate_series(1, 16000) n)`;
  await pool.query(
    `insert into record (device_key, epoch, batch_seq, ordinal, seq, kind, data, received_day, received_at)
     select $1, 1, b, 0, b, 'k', ${large}, current_date, now() from generate_series(1, 60) b`,
    [device.deviceKey],
  );
  const records = await costOf(() => listRecords(bench.shards, [{device}], 50));
  expect(records.value[0]?.rows).toHaveLength(1);
  expect(records.value[0]?.hasNextPage).toBe(true);
  // Parsed only when it is written into an answer.
  expect(records.value[0]?.rows[0]?.data).toBeInstanceOf(JsonText);
  // Of 30 MB; half a MiB and the row behind it are 130, once to measure them and once to send them.
  expect(records.blocks).toBeLessThan(500);

  const [shard] = bench.shards.ids();
  if (shard === undefined) throw new Error('there is no shard');
  await bench.shards
    .pool(shard, 'job')
    .query(
      `insert into device (device_key, device_id, hardware_id, secret_hash) select k, gen_random_uuid(), 'h', '' from generate_series(1, 60) k`,
    );
  for (const [table, columns, values] of [
    ['device_state', 'device_id, epoch', 'device_id, 1'],
    ['device_status', 'device_id, group_id, status', `device_id, 1, 'late'`],
    ['device_shadow', 'state', large],
  ] as const) {
    await bench.shards
      .pool(shard, 'job')
      .query(
        `insert into ${table} (device_key, ${columns}) select device_key, ${values} from device where device_key <= 60`,
      );
  }
  await bench.shards.pool(shard, 'job').query(`update slot_owner set state = 'owned' where slot = 0`);
  const states = await costOf(() =>
    listDevices(bench.shards, {
      shard,
      condition: {kind: 'is', field: 'status', values: ['late'], not: false},
      order: {by: 'id', descending: false},
      limit: 50,
      fields: ['state'],
      shardsAsked: 1,
      leftMs: () => 10_000,
    }),
  );
  expect(states.value.rows).toHaveLength(1);
  expect(states.value.end).toMatchObject({id: states.value.rows[0]?.deviceId});
  expect(states.value.rows[0]?.state).toBeInstanceOf(JsonText);
  expect(states.blocks).toBeLessThan(1800);
});

test('a slot that has moved is asked for on its new shard, and the others of the page as before', async () => {
  const devices = await seeded(4);
  const moving = devices.at(-1);
  if (moving === undefined) throw new Error('no device was made');
  const from = bench.shards.shardOfDevice(moving.deviceId);
  const own = (shard: number, state: string) =>
    bench.shards
      .pool(shard, 'job')
      .query('update slot_owner set state = $2, epoch = 1 where slot = $1', [moving.slot, state]);
  await own(from, 'moved_out');
  await own(1 - from, 'owned');
  await bench.shards
    .control('job')
    .query('update control.slot_map set shard = $2, epoch = 1 where slot = $1', [moving.slot, 1 - from]);
  const found = await listReceipts(
    bench.shards,
    devices.map((device) => ({device})),
    10,
  );
  // Its receipts were left behind.
  expect(found.map((rows) => rows.length)).toEqual([0, 1, 2, 0]);
});

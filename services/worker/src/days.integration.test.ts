import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {listOpenCommands} from '@pisync/core/commands/commands';
import {findDevice} from '@pisync/core/queries/devices';
import {dayOf, partitionName} from '@pisync/core/shards/partitions';
import {until} from '@pisync/core/testing/until';
import {batchOf, enrolDevices, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, type WorkerBench} from './testing/test-worker.ts';

// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

let bench: WorkerBench;
beforeAll(async () => {
  bench = await openWorkerBench();
});
afterAll(() => bench.close());

afterEach(() => bench.stopWorkers());

const DAY_MS = 86_400_000;
const day = (ago: number): string => dayOf(Date.now() - ago * DAY_MS);

/** What the shard has of a device: receipts by day, records, and how much in quarantine. */
const stored = async ({deviceId, deviceKey}: TestDevice) => {
  const {shards} = bench.shards;
  const found = await shards.pool(shards.shardOfDevice(deviceId), 'job').query<{
    days: readonly string[];
    records: number;
    quarantined: number;
  }>(
    `select array(select received_day::text from receipt where device_key = $1 order by batch_seq) as days,
            (select count(*) from record where device_key = $1) as records,
            (select count(*) from quarantine where device_key = $1) as quarantined`,
    [deviceKey],
  );
  return found.rows[0];
};

test('a day whose partition is missing gets one', async () => {
  const device = await bench.enrolOne();
  const worker = await bench.start();
  await bench.publish([batchOf({device, batchSeq: 1, receivedDay: day(6)})]);
  await bench.waitApplied(device, 1);
  expect(await stored(device)).toEqual({days: [day(6)], records: 2, quarantined: 0});
  expect(await worker.counter('pisync_worker_batches_total', {outcome: 'retried'})).toBe(0);
});

test.each([
  ['years ago, by a clock that is behind or after a long wait', 3000],
  ['years ahead, by a clock that is', -3000],
])('a batch that was received %s is applied as one of today, once', async (_, ago) => {
  const device = await bench.enrolOne();
  const worker = await bench.start();
  const batch = batchOf({device, batchSeq: 1, receivedDay: day(ago)});
  await bench.publish([batch]);
  await bench.waitApplied(device, 1);
  await bench.publish([batch, batchOf({device, batchSeq: 2})]);
  await bench.waitApplied(device, 2);
  expect(await stored(device)).toEqual({days: [day(0), day(0)], records: 4, quarantined: 0});
  expect(await worker.counter('pisync_worker_batches_total', {outcome: 'retried'})).toBe(0);
});

test.each([
  ['behind', -3000],
  ['ahead', 3000],
])('a worker whose clock is years %s parks what it has no day for, and another one applies it', async (_, days) => {
  const device = await bench.enrolOne();
  const wrong = await bench.start({now: () => Date.now() + days * DAY_MS});
  await bench.publish([batchOf({device, batchSeq: 1, receivedDay: day(-9)})]);
  await until(
    'it to be parked',
    () => wrong.counter('pisync_worker_batches_total', {outcome: 'parked'}),
    (count) => count > 0,
  );
  expect(await bench.applied(device)).toBe(0);
  await bench.stopWorkers();
  await bench.start();
  await bench.waitApplied(device, 1);
  expect(await stored(device)).toEqual({days: [day(0)], records: 2, quarantined: 0});
});

const HOUR_MS = 3_600_000;

test.each([
  ['27 hours behind', -27],
  ['five days behind', -120],
  ['five days ahead', 120],
])(
  'a worker whose clock is %s makes no device late, keeps none on time, and what it puts aside has a day that is near',
  async (_, hours) => {
    const {shards} = bench.shards;
    const [prompt, overdue, strange] = await enrolDevices(shards, 3);
    if (prompt === undefined || overdue === undefined || strange === undefined) throw new Error('three were enrolled');
    await bench.start({now: () => Date.now() + hours * HOUR_MS});
    // Before another day can begin.
    const today = day(0);
    const beganAtMs = Date.now();
    const content = {device: strange, batchSeq: 1, receivedDay: today};
    await bench.publish([
      batchOf({device: prompt, batchSeq: 1, receivedDay: today}),
      batchOf({device: overdue, batchSeq: 1, receivedAtMs: beganAtMs - 30 * HOUR_MS, receivedDay: today}),
      batchOf({...content, records: [{s: -1, k: 'reading'}]}),
    ]);
    for (const device of [prompt, overdue, strange]) await bench.waitApplied(device, 1);
    const found = await findDevice(shards, prompt.deviceId);
    expect(found?.status).toBe('on_time');
    expect(Math.abs((found?.lastSyncAt?.getTime() ?? 0) - beganAtMs)).toBeLessThan(60_000);
    expect((await findDevice(shards, overdue.deviceId))?.status).toBe('late');

    await bench.publish([batchOf({...content, records: []})]);
    const command = await until(
      'the conflict to be told',
      async () => (await listOpenCommands(shards, strange, 1))[0],
      (seen) => seen !== undefined,
    );
    expect(Math.abs((command?.createdAt.getTime() ?? 0) - beganAtMs)).toBeLessThan(60_000);
    const {rows} = await shards
      .pool(shards.slotMap.shardOf(strange.slot), 'job')
      .query<{kind: string; isNear: boolean}>(
        `select kind, abs(created_day - $2::date) <= 1 as "isNear" from quarantine where device_key = $1 order by kind`,
        [strange.deviceKey, today],
      );
    expect(rows).toEqual([
      {kind: 'conflict', isNear: true},
      {kind: 'record', isNear: true},
    ]);
  },
);

test('a day whose partition covers another day is no reason to try for ever, also beside one of long ago', async () => {
  const {shards} = bench.shards;
  const byShard = Map.groupBy(await enrolDevices(shards, 10), ({slot}) => shards.slotMap.shardOf(slot));
  const [shardId, [crooked, ancient] = []] = [...byShard].find(([, devices]) => devices.length > 1) ?? [];
  if (shardId === undefined || crooked === undefined || ancient === undefined)
    throw new Error('no shard has two devices');
  const name = partitionName('record', day(8));
  await shards
    .pool(shardId, 'job')
    .query(`create table ${name} partition of record for values from ('1999-01-01') to ('1999-01-02')`);
  const worker = await bench.start();
  await bench.publish([
    batchOf({device: crooked, batchSeq: 1, receivedDay: day(8)}),
    batchOf({device: ancient, batchSeq: 1, receivedDay: day(400)}),
  ]);
  await bench.waitApplied(ancient, 1);
  await until(
    'the first rung',
    () => worker.counter('pisync_worker_batches_total', {outcome: 'retried'}),
    (seen) => seen === 1,
  );
  expect(await bench.applied(crooked)).toBe(0);
  await shards.pool(shardId, 'job').query(`drop table ${name}`);
  await bench.waitApplied(crooked, 1);
});

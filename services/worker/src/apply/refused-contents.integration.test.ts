import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {v7 as uuidv7} from 'uuid';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {type Batch} from './batch.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {writeBatches} from './shard-writer.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const write = async (batches: readonly Batch[]): Promise<void> => {
  const options = {store: createPgShardStore(bench.shards, Date.now), now: Date.now, newId: uuidv7};
  expect((await writeBatches(options, 0, batches)).kind).toBe('done');
};

/** That has sent two batches. */
const oneDevice = async (): Promise<TestDevice> => {
  const [device] = await enrolDevices(bench.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  await write([batchOf({device, batchSeq: 1}), batchOf({device, batchSeq: 2})]);
  return device;
};

const query = async <T extends object>(text: string, {deviceKey}: TestDevice): Promise<readonly T[]> =>
  (await bench.shards.pool(0, 'job').query<T>(text, [deviceKey])).rows;

/** How many there are in quarantine, by their kind. */
const kept = async (device: TestDevice): Promise<Record<string, number>> => {
  const rows = await query<{kind: string; count: number}>(
    'select kind, count(*)::int as count from quarantine where device_key = $1 group by kind',
    device,
  );
  return Object.fromEntries(rows.map(({kind, count}) => [kind, count]));
};
const counted = (device: TestDevice) => query('select conflicts from device_status where device_key = $1', device);

/** Other contents than the device has sent under this number. */
const others = (device: TestDevice, batchSeq: number, count: number, from = 0): readonly Batch[] =>
  Array.from({length: count}, (_, index) => batchOf({device, batchSeq, records: [{s: from + index, k: 'other'}]}));

test('so many conflicts of a device are kept, and each is counted once', async () => {
  const device = await oneDevice();
  const all = others(device, 1, 25);
  for (const other of all.slice(0, 15)) await write([other]);
  // Those that are kept already take nobody's place, and are no other ones.
  await write(all);
  expect(await kept(device)).toEqual({conflict: 20});
  expect(await counted(device)).toEqual([{conflicts: 25}]);
});

test('a conflict is kept a month after so many others', async () => {
  const device = await oneDevice();
  await write(others(device, 1, 20));
  await query(`update device_refusal set kept_at = kept_at - interval '29 days' where device_key = $1`, device);
  await write(others(device, 1, 1, 100));
  expect(await kept(device)).toEqual({conflict: 20});
  await query(`update device_refusal set kept_at = kept_at - interval '2 days' where device_key = $1`, device);
  await write(others(device, 1, 1, 200));
  expect(await kept(device)).toEqual({conflict: 21});
  expect(await query('select from device_refusal where device_key = $1', device)).toHaveLength(1);
});

test('what nobody can compare any more takes no place of a conflict', async () => {
  const device = await oneDevice();
  await query('delete from receipt where device_key = $1 and batch_seq = 1', device);
  await write(others(device, 1, 25));
  await write(others(device, 2, 1));
  expect(await kept(device)).toEqual({unproved: 20, conflict: 1});
});

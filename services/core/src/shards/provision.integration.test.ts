import {initialShardOf, SLOTS} from '@pisync/contract/slots';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {readSlotMap, seedSlotMap} from './provision.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const control = () => bench.shards.control('job');

test('an empty slot map is shared out once, whoever else does it at the same time and however many shards come later', async () => {
  await control().query('delete from control.slot_map');
  expect(await readSlotMap(control())).toBeUndefined();
  await Promise.all([seedSlotMap(control(), 3), seedSlotMap(control(), 3)]);
  const map = await readSlotMap(control());
  expect(map?.map(({shard}) => shard)).toEqual(Array.from({length: SLOTS}, (_, slot) => initialShardOf(slot, 3)));
  expect([0, 1, 2].map((id) => map?.filter(({shard}) => shard === id).length)).toEqual([342, 341, 341]);
  await seedSlotMap(control(), 5);
  expect(await readSlotMap(control())).toEqual(map);
});

test('a slot that was moved stays where it is, and one that is lacking is not given away anew', async () => {
  await control().query('update control.slot_map set shard = 7, epoch = epoch + 1 where slot = 3');
  await control().query('delete from control.slot_map where slot = 4');
  await seedSlotMap(control(), 3);
  const rows = await control().query<{slot: number; shard: number}>(
    'select slot, shard from control.slot_map where slot between 3 and 5 order by slot',
  );
  expect(rows.rows).toEqual([
    {slot: 3, shard: 7},
    {slot: 5, shard: initialShardOf(5, 3)},
  ]);
  expect(await readSlotMap(control())).toBeUndefined();
});

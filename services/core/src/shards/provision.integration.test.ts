import {initialShardOf, SLOTS} from '@pisync/contract/slots';
import {afterAll, beforeAll, beforeEach, describe, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {readSlotMap, seedSlotMap, seedSlotOwner} from './provision.ts';

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

describe('a volume with slots that the map gives to the shard', () => {
  /** As the map of a region of two shards, of which this is the second. */
  const map = (epochs: Readonly<Record<number, number>> = {}) =>
    Array.from({length: SLOTS}, (_, slot) => ({slot, shard: initialShardOf(slot, 2), epoch: epochs[slot] ?? 0}));
  const states = async (): Promise<Readonly<Record<string, number>>> => {
    const found = await control().query<{state: string; count: number}>(
      'select state, count(*)::int as count from slot_owner group by state',
    );
    return Object.fromEntries(found.rows.map(({state, count}) => [state, count]));
  };
  beforeEach(() => control().query('delete from slot_owner'));

  test('is provisioned, and once more after an interruption', async () => {
    await seedSlotOwner(control(), 1, map());
    await control().query('delete from slot_owner where slot > 700');
    await seedSlotOwner(control(), 1, map());
    expect(await states()).toEqual({owned: 512, none: 512});
  });

  test('is refused when none of them was ever here: it is of a growth that was taken back', async () => {
    await seedSlotOwner(
      control(),
      1,
      map().map((row) => ({...row, shard: 0})),
    );
    await expect(seedSlotOwner(control(), 1, map())).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('shard 1 has a volume of something else: of 512 slots'),
    });
    expect(await states()).toEqual({none: 1024});
  });

  test('is refused when some of them were not: another number of shards had been there', async () => {
    await seedSlotOwner(
      control(),
      1,
      map().map((row) => ({...row, shard: initialShardOf(row.slot, 3)})),
    );
    await expect(seedSlotOwner(control(), 1, map())).rejects.toMatchObject({code: 'conflict'});
  });

  test('is taken while slots move to and from it', async () => {
    await seedSlotOwner(control(), 1, map());
    await control().query(`update slot_owner set state = 'moved_out', epoch = 1 where slot = 600`);
    await control().query(`update slot_owner set state = 'owned', epoch = 1 where slot = 3`);
    await seedSlotOwner(control(), 1, map());
    // The map knows of one that came here, and an older copy of the shard does not.
    const moved = map({5: 1}).map((row) => (row.slot === 5 ? {...row, shard: 1} : row));
    await seedSlotOwner(control(), 1, moved);
    expect(await states()).toEqual({owned: 512, moved_out: 1, none: 511});
  });
});

import {expect, test} from '@jest/globals';
import {SLOTS} from '@pisync/contract/slots';
import {decodeSlotMap, encodeSlotMap, type KnownSlotMap} from './saved-slot-map.ts';
import {createSlotMap} from './slot-map.ts';

const rowsOf = (shard: number, epoch = 0) =>
  Array.from({length: SLOTS}, (_, slot) => ({slot, shard, epoch: slot === 0 ? epoch : 0}));
const savedOf = (shard: number, version: number): KnownSlotMap => ({
  version,
  shards: new Array<number>(SLOTS).fill(shard),
});
const away = () => Promise.reject(new Error('connect ECONNREFUSED'));

test('a map comes through its saved form unchanged, in a few bytes', () => {
  const shards = Array.from({length: SLOTS}, (_, slot) => (slot === 700 ? 5 : Math.floor((slot * 3) / SLOTS)));
  const text = encodeSlotMap({version: 7, shards});
  expect(decodeSlotMap(text)).toEqual({version: 7, shards});
  expect(text.length).toBeLessThan(100);
});

test.each(['', '{}', '{"version":1,"runs":[[1023,0]]}', '{"version":1,"runs":[[1024,-1]]}'])(
  'what is no map is refused: %s',
  (text) => {
    expect(() => decodeSlotMap(text)).toThrow();
  },
);

test.each([
  ['a hundred million slots', JSON.stringify({version: 1, runs: Array.from({length: 100_000}, () => [SLOTS, 0])})],
  ['half a million runs that are none', `{"version":1,"runs":[${'0,'.repeat(500_000)}0]}`],
])('what says that it has %s is refused before it takes their room', (_what, text) => {
  const before = process.memoryUsage().rss;
  expect(() => decodeSlotMap(text)).toThrow();
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(50);
});

test('a map of shards that all have one slot in turn is read', () => {
  const map = {version: 7, shards: Array.from({length: SLOTS}, (_, slot) => slot % 64)};
  expect(decodeSlotMap(encodeSlotMap(map))).toEqual(map);
});

test('while the control database is away the saved map is used, and its own as soon as it answers', async () => {
  let read: () => Promise<ReturnType<typeof rowsOf>> = away;
  const map = createSlotMap(
    () => read(),
    () => Promise.resolve(savedOf(1, 5)),
  );
  expect(() => map.check()).toThrow('not read yet');
  await map.reload();
  expect({shard: map.shardOf(3), slots: map.slotsOf(1).length}).toEqual({shard: 1, slots: SLOTS});
  map.check();
  // Also one with a lower version: the database was restored from a copy.
  read = () => Promise.resolve(rowsOf(2, 4));
  await map.reload();
  expect(map.shardOf(3)).toBe(2);
});

test('of what was read and what was saved the newer counts, while nothing else can be had', async () => {
  let read: () => Promise<ReturnType<typeof rowsOf>> = () => Promise.resolve(rowsOf(0, 5));
  let saved = savedOf(1, 4);
  const map = createSlotMap(
    () => read(),
    () => Promise.resolve(saved),
  );
  await map.reload();
  read = away;
  await expect(map.reload()).rejects.toThrow('ECONNREFUSED');
  expect(map.shardOf(0)).toBe(0);
  saved = savedOf(1, 6);
  await map.reload();
  expect(map.shardOf(0)).toBe(1);
});

test('without either nothing is known, and the reason is told', async () => {
  const map = createSlotMap(away);
  await expect(map.reload()).rejects.toThrow('ECONNREFUSED');
  expect(map.known()).toBeUndefined();
});

import {expect, test} from '@jest/globals';
import {countedNow, summarise} from './summary.ts';

const names = {nameOf: (id: number) => ['', 'a', 'b'][id] ?? ''};

test('adds up shards, groups and statuses, and says what is missing', () => {
  const counted = countedNow(
    [0, 1, 2],
    [
      {
        shard: 0,
        value: [
          {groupId: 2, status: 'late', count: 2},
          {groupId: 1, status: 'on_time', count: 5},
        ],
      },
      {shard: 1, value: [{groupId: 2, status: 'on_time', count: 1}]},
    ],
    undefined,
    '2026-01-01T00:00:00.000Z',
  );
  const summary = summarise(counted, names, undefined);
  const none = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
  expect(summary).toEqual({
    devices: 8,
    byStatus: {...none, late: 2, on_time: 6},
    byGroup: [
      {group: 'a', devices: 5, byStatus: {...none, on_time: 5}},
      {group: 'b', devices: 3, byStatus: {...none, late: 2, on_time: 1}},
    ],
    byShard: [
      {shard: 0, devices: 7, byStatus: {...none, late: 2, on_time: 5}, asOf: '2026-01-01T00:00:00.000Z'},
      {shard: 1, devices: 1, byStatus: {...none, on_time: 1}, asOf: '2026-01-01T00:00:00.000Z'},
    ],
    partial: ['shard-2'],
    asOf: '2026-01-01T00:00:00.000Z',
  });
});

test('a shard that does not answer is counted as it was, and one that is no more is not', () => {
  const one = (shard: number, count: number) => ({shard, value: [{groupId: 1, status: 'late' as const, count}]});
  const before = countedNow([0, 1, 2], [one(0, 1), one(1, 10), one(2, 100)], undefined, '2026-01-01T00:00:00.000Z');
  const meanwhile = countedNow([0, 1, 3], [one(0, 2)], before, '2026-01-01T00:01:00.000Z');
  expect(summarise(meanwhile, names, undefined)).toMatchObject({
    devices: 12,
    byShard: [
      {shard: 0, devices: 2, asOf: '2026-01-01T00:01:00.000Z'},
      {shard: 1, devices: 10, asOf: '2026-01-01T00:00:00.000Z'},
    ],
    partial: ['shard-1', 'shard-3'],
  });
  const back = countedNow([0, 1], [one(0, 2), one(1, 11)], meanwhile, '2026-01-01T00:02:00.000Z');
  expect(summarise(back, names, undefined)).not.toHaveProperty('partial');
  expect(summarise(back, names, undefined).devices).toBe(13);
});

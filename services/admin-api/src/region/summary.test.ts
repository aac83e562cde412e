import {expect, test} from '@jest/globals';
import {summarise} from './summary.ts';

test('adds up shards, groups and statuses, and says what is missing', () => {
  const summary = summarise(
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
    {nameOf: (id) => ['', 'a', 'b'][id] ?? '', idOf: () => undefined},
    [2],
    '2026-01-01T00:00:00.000Z',
  );
  const none = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
  expect(summary).toEqual({
    devices: 8,
    byStatus: {...none, late: 2, on_time: 6},
    byGroup: [
      {group: 'a', devices: 5, byStatus: {...none, on_time: 5}},
      {group: 'b', devices: 3, byStatus: {...none, late: 2, on_time: 1}},
    ],
    byShard: [
      {shard: 0, devices: 7, byStatus: {...none, late: 2, on_time: 5}},
      {shard: 1, devices: 1, byStatus: {...none, on_time: 1}},
    ],
    partial: ['shard-2'],
    asOf: '2026-01-01T00:00:00.000Z',
  });
});

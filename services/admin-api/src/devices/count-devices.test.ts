import {expect, test} from '@jest/globals';
import type {DeviceCondition} from '@pisync/core/filters/device-condition';
import {fromCensus} from './count-devices.ts';

const asOf = '2026-01-01T00:00:00.000Z';
const cell = (groupId: number, status: 'late' | 'on_time', count: number) => ({groupId, status, count});
const counted = {
  asOf,
  missing: [1, 2],
  shards: [
    {shard: 0, asOf, counts: [cell(1, 'late', 1), cell(1, 'on_time', 10), cell(2, 'late', 100)]},
    {shard: 1, asOf, counts: [cell(1, 'late', 1000), cell(3, 'on_time', 10_000)]},
  ],
};
const status: DeviceCondition = {kind: 'is', field: 'status', values: ['late'], not: false};
const group: DeviceCondition = {kind: 'is', field: 'group', values: [1, 3], not: true};
const shard: DeviceCondition = {kind: 'shard', shards: [1], not: false};
const name: DeviceCondition = {kind: 'is', field: 'name', values: ['x'], not: false};

test.each<[DeviceCondition, number[], number, boolean, boolean]>([
  [{kind: 'always'}, [0], 111, true, false],
  [{kind: 'always'}, [0, 1], 11_111, false, false],
  [{kind: 'always'}, [0, 1, 2], 11_111, false, true],
  [status, [0, 1], 1101, false, false],
  [{kind: 'and', of: [status, group]}, [0], 100, true, false],
  [{kind: 'or', of: [shard, {kind: 'and', of: [status, group]}]}, [0, 1], 11_100, false, false],
])('the census says how many %j of shards %j are', (condition, asked, value, exact, atLeast) => {
  expect(fromCensus(counted, condition, asked)).toEqual({value, exact, atLeast, asOf});
});

test('the census does not say what it does not know', () => {
  expect(fromCensus(counted, {kind: 'and', of: [status, name]}, [0])).toBeUndefined();
});

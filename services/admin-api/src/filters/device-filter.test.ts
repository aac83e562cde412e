import {describe, expect, test} from '@jest/globals';
import {AppError} from '@pisync/core/errors/app-error';
import {canonicalFilter, parseDeviceFilter} from './device-filter.ts';

const problemOf = (query: Parameters<typeof parseDeviceFilter>[0]) => {
  try {
    return {filter: parseDeviceFilter(query)};
  } catch (error) {
    if (error instanceof AppError) return {status: error.status, errors: error.errors};
    throw error;
  }
};

describe('device filter', () => {
  test.each([
    [{}, {}],
    [{filter: ''}, {}],
    [{filter: 'status==late'}, {status: 'late'}],
    [{filter: 'status==late;group==g1'}, {status: 'late', group: 'g1'}],
    [{filter: ' group == "north & \\"south\\"; x" ; shard==2 '}, {group: 'north & "south"; x', shard: 2}],
    [
      {status: 'silent', group: 'a b'},
      {status: 'silent', group: 'a b'},
    ],
    [{filter: 'status==late', status: 'late'}, {status: 'late'}],
  ])('reads %j', (query, filter) => {
    expect(problemOf(query)).toEqual({filter});
  });

  test.each([
    [{filter: 'status=late'}, '/filter', /no operator "="/],
    [{filter: 'lastSync<5'}, '/filter', /no field "lastSync"; known are status, group, shard/],
    [{filter: 'status==asleep'}, '/filter', /known are pending, on_time/],
    [{status: 'asleep'}, '/status', /known are pending, on_time/],
    [{filter: 'status==late;;'}, '/filter', /expects field==value/],
    [{filter: 'group==a b'}, '/filter', /expects field==value/],
    [{filter: 'status==late', status: 'silent'}, '/status', /at once/],
    [{filter: 'shard==one'}, '/filter', /write its number/],
    [{filter: 'x'.repeat(1001)}, '/filter', /longer than/],
    [{group: 'a\u0000'}, '/group', /NUL/],
  ])('refuses %j', (query, pointer, detail) => {
    expect(problemOf(query)).toEqual({
      status: 400,
      errors: [{pointer, detail: expect.stringMatching(detail) as unknown}],
    });
  });

  test('has one canonical text however it was written', () => {
    expect(canonicalFilter(parseDeviceFilter({filter: 'group==g;status==late'}), [2, 5])).toBe(
      canonicalFilter(parseDeviceFilter({status: 'late', group: 'g'}), [2, 5]),
    );
  });
});

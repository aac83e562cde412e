import {describe, expect, test} from '@jest/globals';
import {chosenColumns, toggledColumns, directionOf, nextSort} from './columns.ts';

const keys = (names: readonly string[] | null) => chosenColumns(names).map((column) => column.key);

describe('columns of the device list', () => {
  test('come in screen order whatever the order in the URL, without unknown names', () => {
    expect(keys(['shard', 'nope', 'status'])).toEqual(['status', 'shard']);
  });

  test('switching one on and off again is the default, which needs no URL', () => {
    const withModel = toggledColumns(chosenColumns(null), 'model');
    expect(withModel).toContain('model');
    expect(toggledColumns(chosenColumns(withModel), 'model')).toBeNull();
  });

  test('may all be switched off', () => {
    expect(toggledColumns(chosenColumns(['status']), 'status')).toEqual([]);
    expect(keys([])).toEqual([]);
  });
});

test('a head sorts up, then down, then not at all', () => {
  const sorts = [undefined, 'name', '-name', '-lastSync'];
  expect(sorts.map((sort) => nextSort(sort, 'name'))).toEqual(['name', '-name', undefined, 'name']);
  expect(sorts.map((sort) => directionOf(sort, 'name'))).toEqual(['none', 'ascending', 'descending', 'none']);
});

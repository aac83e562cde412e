import {expect, test} from '@jest/globals';
import {ALL_PARAMETERS} from './parameters.ts';

test('no setting is in two lists', () => {
  expect(ALL_PARAMETERS.filter((name, index) => ALL_PARAMETERS.indexOf(name) !== index)).toEqual([]);
});

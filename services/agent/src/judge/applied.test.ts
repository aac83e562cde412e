import {expect, test} from '@jest/globals';
import {appliedOf, countOf, nameOfApplied, type Applied} from './applied.ts';

test.each<readonly [readonly number[], Applied, string]>([
  [[], {through: 0, ahead: []}, 'up to 0'],
  [[1, 2, 3], {through: 3, ahead: []}, 'up to 3'],
  [
    [3, 1, 2, 10, 6, 7],
    {
      through: 3,
      ahead: [
        [6, 8],
        [10, 11],
      ],
    },
    'up to 3 and [6,8) and [10,11)',
  ],
  [[2, 3], {through: 0, ahead: [[2, 4]]}, 'up to 0 and [2,4)'],
])('of the numbers %p', (numbers, applied, name) => {
  expect(appliedOf(new Set(numbers))).toEqual(applied);
  expect(nameOfApplied(applied)).toBe(name);
  expect(countOf(applied)).toBe(numbers.length);
});

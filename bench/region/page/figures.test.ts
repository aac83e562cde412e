import {expect, test} from '@jest/globals';
import {figure, percentOf, rangeOf} from './figures.ts';

test.each([
  [0, '0'],
  [3, '3'],
  [0.834, '0.83'],
  [9.996, '10.0'],
  [42.25, '42.3'],
  [99.6, '100'],
  [1234.5, '1,235'],
  [-7.25, '−7.25'],
])('%d reads %s', (value, text) => {
  expect(figure(value)).toBe(text);
});

test.each([
  [12.4, '+12 %'],
  [-2.94, '−2.9 %'],
  [0.04, '0.0 %'],
  [-1234, '−1,234 %'],
])('a change of %d reads %s', (value, text) => {
  expect(percentOf(value)).toBe(text);
});

test('a range is said where the rounds differ as they are read', () => {
  expect(rangeOf({median: 11, min: 10.71, max: 12})).toBe('(10.7–12)');
  expect(rangeOf({median: 11, min: 100.1, max: 100.2})).toBeUndefined();
});

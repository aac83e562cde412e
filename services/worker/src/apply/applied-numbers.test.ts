import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {
  countApplied,
  formatRanges,
  isApplied,
  isTooFar,
  NOTHING_APPLIED,
  parseRanges,
  withApplied,
} from './applied-numbers.ts';

test('in whatever order: the same as a set of numbers, and as few ranges as they need', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({min: 1, max: 40}), {maxLength: 40}), (order) => {
      const numbers = order.reduce(withApplied, NOTHING_APPLIED);
      const applied = new Set(order);
      for (let number = 1; number <= 41; number++) expect(isApplied(numbers, number)).toBe(applied.has(number));
      expect(countApplied(numbers)).toBe(order.length);
      const starts = [...applied].filter((number) => number > numbers.through && !applied.has(number - 1));
      expect(numbers.ahead).toHaveLength(starts.length);
      expect(applied.has(numbers.through + 1)).toBe(false);
      expect(parseRanges(formatRanges(numbers.ahead) ?? null)).toEqual(numbers.ahead);
    }),
  );
});

test('what is too far depends on the gapless prefix alone', () => {
  const numbers = withApplied({through: 5, ahead: []}, 1000);
  expect(isTooFar(numbers, 1029)).toBe(false);
  expect(isTooFar(numbers, 1030)).toBe(true);
});

test('another text is refused', () => {
  for (const text of ['', '[1,2)', '{[1,2]}', '{[1,2),}', '{(,2)}'])
    expect(() => parseRanges(text)).toThrow(RangeError);
});

import {expect, test} from '@jest/globals';
import {summaryRefetchMs} from './summary-query.ts';

test('an old count is asked for again soon, a new one or none after a while', () => {
  expect(summaryRefetchMs(240)).toBeLessThan(5_000);
  expect(summaryRefetchMs(15)).toBe(30_000);
  expect(summaryRefetchMs(undefined)).toBe(30_000);
});

import {expect, test} from '@jest/globals';
import {createLineQuota} from './line-quota.ts';

test('so many lines a minute are written, and the next one says how many were not', () => {
  let nowMs = 0;
  const line = createLineQuota(2, () => nowMs);
  expect([line(), line(), line(), line()]).toEqual([0, 0, undefined, undefined]);
  nowMs = 59_999;
  expect(line()).toBeUndefined();
  nowMs = 60_000;
  expect([line(), line(), line()]).toEqual([3, 0, undefined]);
});

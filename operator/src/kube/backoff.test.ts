import {expect, test} from '@jest/globals';
import {backoffDelayMs} from './backoff.ts';

const policy = {firstMs: 800, longestMs: 30_000, jitter: 0.5};

test.each([
  [1, 1, 800],
  [1, 0, 400],
  [2, 1, 1_600],
  [6, 1, 25_600],
  [7, 1, 30_000],
  [1_000, 1, 30_000],
])('after %i failures, with a random number of %d, the delay is %i ms', (failures, random, expected) => {
  expect(backoffDelayMs(policy, failures, random)).toBe(expected);
});

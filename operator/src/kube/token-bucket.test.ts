import {expect, test} from '@jest/globals';
import {TokenBucket} from './token-bucket.ts';

const taken = (bucket: TokenBucket, nowMs: number): number => {
  let count = 0;
  while (bucket.take(nowMs)) count++;
  return count;
};

test('gives a burst, then one an interval, and never saves up more than the burst', () => {
  const bucket = new TokenBucket({burst: 3, refillMs: 1_000}, 0);
  expect([0, 999, 1_000, 1_500, 3_700, 60_000].map((nowMs) => taken(bucket, nowMs))).toEqual([3, 0, 1, 0, 2, 3]);
});

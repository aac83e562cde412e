import {describe, expect, test} from '@jest/globals';
import {initialShardOf, SLOTS} from './slots.ts';

describe('initialShardOf', () => {
  test.each([1, 2, 3, 5, 7, 64])('spreads the slots over %i shards to within one slot', (shards) => {
    const counts = new Array<number>(shards).fill(0);
    for (let slot = 0; slot < SLOTS; slot++) {
      const shard = initialShardOf(slot, shards);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });
});

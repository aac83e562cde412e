import {expect, test} from '@jest/globals';
import {createSustained} from './event-loop-lag.ts';

const last = (samples: readonly number[]): number => {
  const sustained = createSustained();
  return samples.reduce((_, sample) => sustained(sample), 0);
};

test('one late window is not a lasting lag, four are, and a lag that is over is over at once', () => {
  expect(last([2000])).toBe(500);
  expect(last([2000, 2000, 2000, 2000])).toBeGreaterThan(1300);
  expect(last([2000, 2000, 2000, 2000, 0])).toBe(0);
});

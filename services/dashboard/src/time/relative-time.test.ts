import {expect, test} from '@jest/globals';
import {relativeTime} from './relative-time.ts';

const NOW = Date.UTC(2026, 0, 10, 12);

test.each([
  [0, 'now'],
  [-14_000, 'now'],
  [-20_000, 'in 20 s'],
  [42_000, '42 s ago'],
  [5 * 60_000, '5 min ago'],
  [47 * 3_600_000, '47 h ago'],
  [48 * 3_600_000, '2 d ago'],
  [-2 * 3_600_000, 'in 2 h'],
])('%i ms before now reads %s', (agoMs, text) => {
  expect(relativeTime(NOW - agoMs, NOW)).toBe(text);
});

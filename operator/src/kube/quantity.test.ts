import {expect, test} from '@jest/globals';
import {quantityNanos} from './quantity.ts';

const NANO = 1_000_000_000n;

test.each([
  ['0', 0n],
  ['0.7', 700_000_000n],
  ['700m', 700_000_000n],
  ['.5', 500_000_000n],
  ['1.', NANO],
  ['+2', 2n * NANO],
  [3, 3n * NANO],
  ['1500u', 1_500_000n],
  ['15n', 15n],
  ['0.0000000001', 1n],
  ['1e3', 1_000n * NANO],
  ['1E3', 1_000n * NANO],
  ['25e-1', 2_500_000_000n],
  ['1k', 1_000n * NANO],
  ['1E', 10n ** 18n * NANO],
  ['1.5Gi', 3n * 2n ** 29n * NANO],
  ['1024Ti', 2n ** 50n * NANO],
  ['1Pi', 2n ** 50n * NANO],
  ['2Ei', 2n ** 61n * NANO],
])('%s', (text, expected) => {
  expect(quantityNanos(text)).toBe(expected);
});

test.each(['', '-1', 'm', '1 Gi', '1gi', '1KiB', '1ki', '0x10', undefined, null, {toString: 1}, 'Infinity', '1e', '.'])(
  'refuses %s',
  (text) => {
    expect(quantityNanos(text)).toBeUndefined();
  },
);

test.each(['1'.repeat(1_000_000), `${'1'.repeat(30_000)}x`])('refuses a long text at once (%#)', (text) => {
  const fromMs = performance.now();
  expect(quantityNanos(text)).toBeUndefined();
  expect(performance.now() - fromMs).toBeLessThan(500);
});

test('every number of thousandths is the same, however it is written', () => {
  const differ = Array.from({length: 3_000}, (_, millis) => millis).filter(
    (millis) => quantityNanos(String(millis / 1000)) !== quantityNanos(`${millis}m`),
  );
  expect(differ).toEqual([]);
});

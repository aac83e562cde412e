import {describe, expect, test} from '@jest/globals';
import {arrivalMs} from './arrivals.ts';

describe('arrivalMs', () => {
  const arrivals = {durationMs: 1000, rampMs: 200};
  const all = Array.from({length: 900}, (_, index) => arrivalMs(index / 900, arrivals));

  test('starts at zero, ends within the duration, and never goes back', () => {
    expect(all[0]).toBe(0);
    expect(all.at(-1)).toBeLessThan(1000);
    expect(all.every((at, index) => index === 0 || at > (all[index - 1] ?? 0))).toBe(true);
  });

  test('keeps a constant rate after the ramp, and half of it on average during the ramp', () => {
    const within = (from: number, to: number): number => all.filter((at) => at >= from && at < to).length;
    expect(within(0, 200)).toBe(100);
    expect(Math.abs(within(200, 400) - 200)).toBeLessThanOrEqual(1);
    expect(Math.abs(within(800, 1000) - 200)).toBeLessThanOrEqual(1);
  });

  test('sends everything at once for a duration of zero', () => {
    expect(arrivalMs(0.9, {durationMs: 0, rampMs: 10})).toBeLessThan(1);
  });
});

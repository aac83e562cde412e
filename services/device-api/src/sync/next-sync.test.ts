import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {nextSyncAt, phaseOf} from './next-sync.ts';

const HOUR = 3_600_000;
const at = (text: string): number => Date.parse(`2026-03-${text}:00Z`);

test.each([
  ['before its moment today', '10T00:00', {start: '02:00', durationMinutes: 120}, 0.5, '10T03:00'],
  ['after it', '10T04:00', {start: '02:00', durationMinutes: 120}, 0.5, '11T03:00'],
  ['less than an hour before it', '10T02:30', {start: '02:00', durationMinutes: 120}, 0.5, '11T03:00'],
  ['in a window over midnight, after midnight', '10T00:30', {start: '23:00', durationMinutes: 240}, 0.75, '10T02:00'],
] as const)('a device that asks %s is sent to its moment', (_name, now, window, phase, expected) => {
  expect(new Date(nextSyncAt(at(now), window, phase)).toISOString()).toBe(new Date(at(expected)).toISOString());
});

test('the next sync is one to 25 hours away and always at the same time of day', () => {
  fc.assert(
    fc.property(
      fc.integer({min: 0, max: 4e12}),
      fc.nat(1439),
      fc.integer({min: 1, max: 1440}),
      fc.double({min: 0, max: 0.999, noNaN: true}),
      (now, startMinute, durationMinutes, phase) => {
        const pad = (value: number): string => String(value).padStart(2, '0');
        const start = `${pad(Math.floor(startMinute / 60))}:${pad(startMinute % 60)}`;
        const next = nextSyncAt(now, {start, durationMinutes}, phase);
        expect(next - now).toBeGreaterThanOrEqual(HOUR);
        expect(next - now).toBeLessThan(25 * HOUR);
        expect(nextSyncAt(next, {start, durationMinutes}, phase) - next).toBe(24 * HOUR);
      },
    ),
  );
});

test('phases of many devices fill the window evenly', () => {
  const tenths = new Array<number>(10).fill(0);
  for (let device = 0; device < 10_000; device++) {
    const tenth = Math.floor(phaseOf(`device-${device}`) * 10);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  expect(Math.min(...tenths)).toBeGreaterThan(850);
  expect(Math.max(...tenths)).toBeLessThan(1150);
});

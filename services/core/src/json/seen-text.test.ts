import {expect, test} from '@jest/globals';
import {isSeenText} from './seen-text.ts';

test.each(['a', 'north & "co"', '温室', '🍓', 'می‌خواهم', 'floor plan', '__proto__', '-'])('%j is seen', (text) => {
  expect(isSeenText(text)).toBe(true);
});

test.each([
  '',
  ' ',
  'north ',
  '\u00a0a',
  'a\nb',
  'a\tb',
  '\u0001',
  'a\u0085',
  '\u200b',
  'a\u202eb',
  '\u3164',
  '\u2800',
  'a\ufeffb',
])('%j is not, or not all of it', (text) => {
  expect(isSeenText(text)).toBe(false);
});

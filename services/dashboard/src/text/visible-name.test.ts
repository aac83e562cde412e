import {expect, test} from '@jest/globals';
import {visibleGroup, visibleName} from './visible-name.ts';

test.each([
  null,
  undefined,
  '',
  ' ',
  '\u00a0\t\n',
  '\u200b',
  '\u200b\u200e \u2060',
  '\u3164',
  '\u2800',
  '\ufe0f',
  '\u00ad',
  '\u{e0020}',
  '\u202e',
  '\ufff9',
])('%j shows as nothing', (name) => {
  expect(visibleName(name, 'instead')).toBe('instead');
});

test.each(['a', ' a ', '0', '-', '温室', '🍓', '\u202eevil', '\u200bx'])('%j can be seen', (name) => {
  expect(visibleName(name, 'instead')).toBe(name);
});

test('a group whose name shows as nothing is called what its name is made of', () => {
  expect(visibleGroup('north')).toBe('north');
  expect(visibleGroup('')).toBe('(empty name)');
  expect(visibleGroup(' \u200b')).toBe('(U+0020 U+200B)');
});

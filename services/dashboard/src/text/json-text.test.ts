import {expect, test} from '@jest/globals';
import {jsonText} from './json-text.ts';

const CONTROLS = [0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069];

test.each(CONTROLS)('direction control %i is written as its escape, in names and values', (code) => {
  const value = {[`a${String.fromCharCode(code)}`]: `${String.fromCharCode(code)}b`};
  const escape = `\\u${code.toString(16).padStart(4, '0')}`;
  expect(jsonText(value)).toBe(`{"a${escape}":"${escape}b"}`);
  expect(JSON.parse(jsonText(value, 2))).toEqual(value);
});

test('any other text is as it was', () => {
  expect(jsonText({a: '温室 שלום \\u202e', b: [1, null]})).toBe('{"a":"温室 שלום \\\\u202e","b":[1,null]}');
});

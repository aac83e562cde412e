import {expect, test} from '@jest/globals';
import {cutText} from './text.ts';

test.each([
  ['what fits stays', 'four', 4, 'four'],
  ['what does not is cut', 'abcdefgh', 7, 'abcd...'],
  ['bytes are counted, not letters', 'ääää', 7, 'ää...'],
  ['no character is cut in two', 'ääää', 6, 'ä...'],
  ['nor one of four bytes', '😀😀😀', 10, '😀...'],
])('%s', (_, text, bytes, expected) => {
  expect(cutText(text, bytes)).toBe(expected);
});

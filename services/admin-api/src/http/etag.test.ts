import {expect, test} from '@jest/globals';
import {etagOf, knowsEtag} from './etag.ts';

test('the same content has the same tag, other content another one', () => {
  expect(etagOf('a')).toBe(etagOf(Buffer.from('a')));
  expect(etagOf('a')).not.toBe(etagOf('b'));
  expect(etagOf('a')).toMatch(/^W\/"[\w-]{27}"$/);
});

test.each([
  ['itself', 'W/"a"', true],
  ['itself made strong by a proxy', '"a"', true],
  ['itself among others', '"x", W/"a" ,"y"', true],
  ['anything', '*', true],
  ['another one', '"b"', false],
  ['its text without quotes', 'a', false],
  ['nothing', undefined, false],
])('a request that knows %s', (_what, header, known) => {
  expect(knowsEtag(header, 'W/"a"')).toBe(known);
});

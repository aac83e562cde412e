import {expect, test} from '@jest/globals';
import {etagOf, knowsEtag, revisionsIn} from './etag.ts';

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

test('a tag of what has a revision begins with it', () => {
  expect(etagOf('a', 7)).toBe(etagOf('a').replace('"', '"7.'));
  expect(revisionsIn(etagOf('a', 7))).toEqual([7]);
});

test.each<[string, readonly number[] | undefined]>([
  ['"7"', [7]],
  ['W/"7"', [7]],
  ['"7.x-_Y", W/"9.a" ,"10"', [7, 9, 10]],
  ['*', undefined],
  // Of none of our answers that have a revision.
  ['"a"', []],
  [etagOf('a'), []],
  ['""', []],
  ['"07a"', []],
])('If-Match: %s may be made to the revisions %j', (header, revisions) => {
  expect(revisionsIn(header)).toEqual(revisions);
});

test.each(['7', '', '"7', '"7" "8"', '"7",', 'x"7"', '"7", *'])('If-Match: %s is none', (header) => {
  expect(() => revisionsIn(header)).toThrow(/If-Match must be the ETag/);
});

test('without If-Match nothing is known of what the caller has seen', () => {
  expect(() => revisionsIn(undefined)).toThrow(/Say by If-Match/);
});

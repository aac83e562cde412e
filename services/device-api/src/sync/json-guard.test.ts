import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {isStorable} from '@pisync/core/json/storable';
import {countValues, mayBeUnstorable} from './json-guard.ts';

test('nothing unstorable passes the quick look', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.string({unit: 'binary'}),
      fc.constantFrom('', '\0', '\ud800', '\udfff'),
      (value, text, part) => {
        const document = {value, [text]: [text + part]};
        if (!mayBeUnstorable(JSON.stringify(document))) expect(isStorable(document)).toBe(true);
      },
    ),
  );
});

test.each([
  ['1', 0, 1],
  ['[1]', 1, 2],
  ['[[]]', 2, 3],
  ['[[[]]]', 2, undefined],
  ['[{"a":[1]}]', 2, undefined],
  ['["[[[,", {"a\\"[,[":1, "b":2}]', 2, 5],
  ['[],[],[]', 1, 6],
])('%s, of which %i levels are allowed, has some %p values', (json, maxDepth, expected) => {
  expect(countValues(Buffer.from(json), maxDepth)).toBe(expected);
});

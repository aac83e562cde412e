import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {isStorable} from '@pisync/core/json/storable';
import {isNestedDeeperThan, mayBeUnstorable} from './json-guard.ts';

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
  ['[[]]', 2, false],
  ['[[[]]]', 2, true],
  ['[{"a":[1]}]', 2, true],
  ['["[[[[", {"a\\"[[[":1}]', 2, false],
  ['[],[],[]', 1, false],
])('%s is nested deeper than %i: %s', (json, limit, expected) => {
  expect(isNestedDeeperThan(Buffer.from(json), limit)).toBe(expected);
});

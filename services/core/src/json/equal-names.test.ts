import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {findEqualNames} from './equal-names.ts';
import {parseExactJson} from './exact-json.ts';
import {scanJson} from './scan.ts';

test.each([
  ['{"state":{"a":{"b":1,"b":2}},"x":1}', [['/state', '/state/a/b', '{"a":{"b":1,"b":2}}']]],
  ['{"records":[1,{"a":[{"":1,"":1}]}]}', [['/records/1', '/records/1/a/0/', '{"a":[{"":1,"":1}]}']]],
  ['{"records":{"a":1,"a":2}}', [['', '/records/a', '{"records":{"a":1,"a":2}}']]],
  ['[{"a":1,"a":2}]', [['', '/0/a', '[{"a":1,"a":2}]']]],
  ['{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}', []],
])('%s', (json, expected) => {
  const found = [...findEqualNames(json)].map(([part, {pointer, source}]) => [part, pointer, source]);
  expect(found).toEqual(expected);
});

test('whatever a program writes has none, and what repeats a member has some', () => {
  const hasEqualNames = (json: string) => parseExactJson(json, scanJson(Buffer.from(json))).hasEqualNames;
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (value, name) => {
      const json = JSON.stringify(value);
      expect([hasEqualNames(json), findEqualNames(json).size]).toEqual([false, 0]);
      const twice = `{"state":[${json},{${JSON.stringify(name)}:${json},"x${'x'.repeat(name.length)}":1,${JSON.stringify(name)}:0}]}`;
      expect(hasEqualNames(twice)).toBe(true);
      expect([...findEqualNames(twice).keys()]).toEqual(['/state']);
    }),
  );
});

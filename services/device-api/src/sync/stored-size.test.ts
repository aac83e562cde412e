import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {scanJson} from '@pisync/core/json/scan';
import {storedAtMost, storedSize} from './stored-size.ts';

const mostOf = (json: string): number => storedAtMost(Buffer.byteLength(json), scanJson(Buffer.from(json)));

test('nothing is larger than the quick look says', () => {
  const anyJson = fc.oneof(
    fc.jsonValue(),
    fc.constant(5e-324),
    fc.array(fc.double({noNaN: true, noDefaultInfinity: true})),
  );
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(storedSize(value)).toBeLessThanOrEqual(mostOf(JSON.stringify(value)));
    }),
  );
});

test('a body that is small and has no exponents is not looked at further', () => {
  const json = '{"epoch":"e1","records":[{"s":1,"k":"a","d":{"id":"7-1e5f","celsius":-4.25}}]}';
  expect(mostOf(json)).toBe(3 * json.length);
  expect(mostOf(json.replace('-4.25', '-4.25e7'))).toBe(Infinity);
});

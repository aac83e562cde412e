import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {mayBeLargerThan, storedSize} from './stored-size.ts';

test('nothing that is too large passes the quick look', () => {
  const anyJson = fc.oneof(
    fc.jsonValue(),
    fc.constant(5e-324),
    fc.array(fc.double({noNaN: true, noDefaultInfinity: true})),
  );
  fc.assert(
    fc.property(anyJson, fc.integer({min: 1, max: 1000}), (value, limit) => {
      const json = JSON.stringify(value);
      if (!mayBeLargerThan(limit, Buffer.byteLength(json), json)) expect(storedSize(value)).toBeLessThanOrEqual(limit);
    }),
  );
});

test('a body that is small and has no exponents is not looked at further', () => {
  const json = '{"epoch":"e1","records":[{"s":1,"k":"a","d":{"id":"7-1e5f","celsius":-4.25}}]}';
  expect(mayBeLargerThan(65_536, json.length, json)).toBe(false);
  expect(mayBeLargerThan(65_536, json.length, json.replace('-4.25', '-4.25e7'))).toBe(true);
});

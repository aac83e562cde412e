import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {scanJson} from './scan.ts';

test.each([
  ['1', 0, 1],
  ['[1]', 1, 2],
  ['[[]]', 2, 3],
  ['[[[]]]', 3, 4],
  ['[{"a":[1]}]', 3, 4],
  ['["[[[,", {"a\\"[,[":1, "b":2}]', 2, 5],
  ['[],[],[]', 1, 6],
  ['["x', 1, 2],
  ['["x\\', 1, 2],
])('%s is nested %i deep and has some %i values', (json, depth, values) => {
  expect(scanJson(Buffer.from(json))).toMatchObject({depth, values});
});

test.each([
  ['9007199254740993', true, false],
  ['-1234567890123456.5e3', true, true],
  ['1.2345678901234567890', false, false],
  ['123456789012345', false, false],
  ['1e5', false, true],
  ['-0.5E-7', false, true],
  ['true', false, false],
  ['"1234567890123456 1e5"', false, false],
])('%s: a long integer %p, an exponent %p', (number, hasLongInteger, hasExponent) => {
  for (const json of [number, `[${number},0]`, `{"a": ${number} }`])
    expect(scanJson(Buffer.from(json))).toMatchObject({hasLongInteger, hasExponent});
});

test.each([
  ['{}', 0],
  ['{"a:":1,"b":{"c":":","\\":":[1]}}', 4],
  ['[":",1.5,{"a":1e5}]', 1],
])('%s has %i members', (json, members) => {
  expect(scanJson(Buffer.from(json)).members).toBe(members);
});

test.each([
  ['"\\u0000"', true],
  ['{"\\u00e9":1}', true],
  ['"\\\\u0000"', false],
  ['"u0000"', false],
])('%s: has a unicode escape %p', (json, hasUnicodeEscape) => {
  expect(scanJson(Buffer.from(json)).hasUnicodeEscape).toBe(hasUnicodeEscape);
});

test('whatever bytes there are, the walk ends', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(scanJson(Buffer.from(bytes)).values).toBeGreaterThan(0);
    }),
  );
});

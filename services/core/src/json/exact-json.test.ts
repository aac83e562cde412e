import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {type ExactJson, findRawNumber, parseExactJson} from './exact-json.ts';
import {scanJson} from './scan.ts';

const parse = (text: string): ExactJson => parseExactJson(text, scanJson(Buffer.from(text)));

test.each([
  '9007199254740993',
  '-9007199254740993',
  '18446744073709551616',
  '1e400',
  '-1.5E+309',
  '1e0400',
  '9'.repeat(400),
  `${'9'.repeat(300)}.5e99`,
])('%s is found where it stands and written as it was sent', (number) => {
  for (const text of [`{"a":[0,{"b/~":${number}}]}`, `{"a": [\n0, {"b/~":\t${number} }]}`]) {
    const {value, hasRaw} = parse(text);
    expect(hasRaw).toBe(true);
    expect(findRawNumber(value)).toEqual({pointer: '/a/1/b~1~0', source: number});
    expect(JSON.stringify(value)).toBe(`{"a":[0,{"b/~":${number}}]}`);
  }
});

test.each([
  '9007199254740992',
  '9007199254740994',
  '-9007199254740991',
  '-0',
  '0.30000000000000004',
  '0.1234567890123456789012',
  '1234567890.12345678901234',
  '1.7976931348623157e308',
  '1e23',
  '1e-400',
  '"9007199254740993 1e400"',
  '": 9007199254740993, 1e400"',
])('%s is what JSON.parse makes of it', (text) => {
  const {value, hasRaw} = parse(`[${text}]`);
  expect(hasRaw).toBe(false);
  expect(value).toEqual(JSON.parse(`[${text}]`));
});

test('names, texts and repeated members around such a number stay what they are', () => {
  const text =
    '{"__proto__":{"a":1e400},"7":[1,null],"b":"\\"1e400, 1e400\\\\","c":9007199254740993,"c":" 1e400","a":true}';
  const {value} = parse(text);
  expect(JSON.stringify(value)).toBe(
    '{"7":[1,null],"__proto__":{"a":1e400},"b":"\\"1e400, 1e400\\\\","c":" 1e400","a":true}',
  );
  expect(findRawNumber(value)).toEqual({pointer: '/__proto__/a', source: '1e400'});
});

/** Of this process, so that a machine that does something else meanwhile makes no difference. */
const spentMs = (): number => {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1000;
};

test('a megabyte of numbers, or of text, costs no more than some times its parsing', () => {
  for (const text of [`[${'1,'.repeat(500_000)}1e400]`, `["${'x\\n'.repeat(300_000)}",1e400]`]) {
    const began = spentMs();
    JSON.parse(text);
    const parsed = spentMs();
    expect(findRawNumber(parse(text).value)?.source).toBe('1e400');
    // Usually five times; the constant is for what else this process does, such as collecting garbage.
    expect(spentMs() - parsed).toBeLessThan(15 * (parsed - began) + 200);
  }
});

test('whatever a program writes is read as it is, and no integer comes out as another', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(parse(text).value).toEqual(JSON.parse(text));
    }),
  );
  fc.assert(
    fc.property(fc.bigInt(), fc.nat(20), (integer, digits) => {
      const text = `{"n":${integer}${integer === 0n ? '' : '7'.repeat(digits)}}`;
      expect(JSON.stringify(parse(text).value)).toBe(text);
    }),
  );
});

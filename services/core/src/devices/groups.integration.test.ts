import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';

jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const make = (name: string) =>
  bench.shards.control('job').query('insert into control.device_group (name) values ($1)', [name]);

test.each(['a', 'north & "co"', '温室', '🍓'.repeat(64), 'می‌خواهم', 'a\\u0001'])(
  '%j is a name of a group',
  async (name) => {
    await expect(make(name)).resolves.toBeDefined();
  },
);

test.each([
  '',
  ' ',
  'north ',
  'a'.repeat(65),
  'a\nb',
  'a\tb',
  '\u0001',
  'a\u007f',
  'a\u0085',
  '\u00ad',
  'a\u061c',
  '\u200b',
  'a\u200e',
  'a\u2028',
  '\u202eevil',
  'a\u2060',
  'a\u2069',
  '\ufeff',
])('%j is none: it is too long for a line, or has what is not seen', async (name) => {
  await expect(make(name)).rejects.toThrow(/device_group_name_check/);
});

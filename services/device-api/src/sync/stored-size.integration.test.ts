import {afterAll, beforeAll, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {storedSize} from './stored-size.ts';

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
}, 60_000);
afterAll(() => bench.close(), 60_000);

test('a value is as large as the text that PostgreSQL makes of it', async () => {
  const aNumber = fc.oneof(
    fc.double({noNaN: true, noDefaultInfinity: true}),
    fc.constantFrom(1e20, 1e21, 1e-6, 1e-7, -5e-324, 1.5e300),
  );
  const storable = fc.string({unit: 'grapheme'}).map((text) => text.replaceAll('\0', ''));
  const {value: aValue} = fc.letrec((tie) => ({
    value: fc.oneof(
      {maxDepth: 3},
      aNumber,
      storable,
      fc.constantFrom('"\\/\b\t\u0001\u007f', null, true, false),
      fc.array(tie('value'), {maxLength: 4}),
      fc.dictionary(storable, tie('value'), {maxKeys: 4}),
    ),
  }));
  const values = fc.sample(aValue, 1_000);
  const {rows} = await bench.shards
    .pool(0, 'job')
    .query<{size: number}>('select octet_length((value::jsonb)::text) as size from unnest($1::text[]) value', [
      values.map((value) => JSON.stringify(value)),
    ]);
  const wrong = values.filter((value, index) => storedSize(value) !== rows[index]?.size);
  expect(wrong).toEqual([]);
});

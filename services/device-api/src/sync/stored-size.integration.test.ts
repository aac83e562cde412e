import {afterAll, beforeAll, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {bytesOf} from '../limits/byte-quota.ts';
import {storedSize} from './stored-size.ts';
import {parseSyncBody} from './sync-body.ts';

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

test.each([
  ['digits', '[1,2,3,4,5,6,7,8,9,0]'],
  ['members', '{"a":1,"b":2,"c":3}'],
  ['empty texts and lists', '["",[],{},[[]],[{}]]'],
  ['fractions', '[0.1234567890123456,1.7976931348623157e308,5e-324]'],
  ['readings', '{"celsius":20.53,"humidity":61,"at":"north"}'],
])('%s take no more in the database than their device is charged for', async (_, one) => {
  const d = `[${Array.from({length: 20}, () => one).join()}]`;
  const body = Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta","records":[{"s":1,"k":"x","d":${d}}]}`);
  const parsed = parseSyncBody(body);
  const {rows} = await bench.shards
    .pool(0, 'job')
    .query<{size: number}>('select pg_column_size($1::jsonb) as size', [d]);
  // Its row has what is charged for each record.
  expect(rows[0]?.size).toBeLessThanOrEqual(bytesOf(d.length, {...parsed, recordCount: 0}) - 512);
  expect(parsed.bad).toEqual([]);
});

test('what is bad is charged as it is written into quarantine, with numbers of up to 21 digits', () => {
  const d = [1e400, ...Array.from({length: 78}, () => 9e20)];
  const sent = `[1e400,${Array.from({length: 78}, () => '9e20').join()}]`;
  const body = Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta","records":[{"s":1,"k":"x","d":${sent}}]}`);
  const parsed = parseSyncBody(body);
  expect(parsed.bad).toEqual([0]);
  expect(JSON.stringify(d).length).toBeLessThanOrEqual(bytesOf(sent.length, {...parsed, recordCount: 0}) - 512);
});

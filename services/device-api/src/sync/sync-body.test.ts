import {describe, expect, test} from '@jest/globals';
import {MAX_RECORDS, MAX_STATE_BYTES, MAX_VALUE_BYTES, parseSyncBody} from './sync-body.ts';

test('every bad record is named, however many there are', () => {
  // Two faults each.
  const records = Array.from({length: MAX_RECORDS}, () => ({s: 'x', k: 7}));
  const body = parseSyncBody(Buffer.from(JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', records})));
  expect(body.bad).toHaveLength(MAX_RECORDS);
  const named = new Set(body.faults.map(({pointer}) => /^\/records\/(\d+)/.exec(pointer)?.[1]));
  expect(named.size).toBe(MAX_RECORDS);
  expect(body.faults.length).toBeLessThan(2 * MAX_RECORDS);
});

test.each([
  ['a number that would change', '1e400'],
  ['two members of one name', '{"a":1,"a":1}'],
])('of long names of a device little is repeated, and each record is named: %s', (_what, value) => {
  const records = (name: string, count: number) =>
    new Array<string>(count).fill(`{"s":1,"k":"a","d":{"${name}":${value}}}`).join(',');
  for (const text of [records('/'.repeat(900_000), 1), records('\\u0001'.repeat(300), MAX_RECORDS)]) {
    const {faults, bad} = parseSyncBody(Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta","records":[${text}]}`));
    expect(JSON.stringify(faults).length).toBeLessThan(64 * 1024);
    expect(new Set(faults.map(({pointer}) => /^\/records\/(\d+)/.exec(pointer)?.[1])).size).toBe(bad.length);
  }
});

test('bytes that are no text make the whole body malformed, and two of them are never taken for one', () => {
  const body = Buffer.from('{"epoch":"e1","batchSeq":1,"mode":"delta","records":[{"s":1,"k":"a","d":"?"}]}');
  body[body.indexOf('?')] = 0xff;
  expect(() => parseSyncBody(body)).toThrow(expect.objectContaining({code: 'malformed-json'}));
});

test.each([
  ['1763890000', []],
  ['-1', []],
  ['1763890000123456789', []],
  ['null', []],
  ['"2026-11-28"', [0]],
])('a record whose time is %s is bad only where that is no number', (t, bad) => {
  const body = parseSyncBody(
    Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta","records":[{"s":1,"k":"a","t":${t}}]}`),
  );
  expect(body).toMatchObject({bad, recordCount: 1});
});

describe('what is larger than is stored', () => {
  const call = (rest: string): Buffer => Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta",${rest}}`);
  const numbers = (number: string, count: number): string => `[${new Array<string>(count).fill(number).join(',')}]`;

  test.each([
    ['as it was sent', JSON.stringify('x'.repeat(MAX_VALUE_BYTES - 1))],
    ['once its numbers are written out', numbers('1e20', 3_000)],
    ['in the database, which knows no exponents', numbers('1e308', 250)],
    ['by its small fractions', numbers('1e-300', 250)],
    ['by the blanks that the database writes', numbers('1', 22_000)],
  ])('%s makes its record bad, and the others are taken', (_how, data) => {
    const body = parseSyncBody(call(`"records":[{"s":1,"k":"a"},{"s":2,"k":"a","d":${data}},{"s":3,"k":"a"}]`));
    expect(body).toMatchObject({
      bad: [1],
      faults: [{pointer: '/records/1/d', detail: expect.stringContaining(`at most ${MAX_VALUE_BYTES} are stored`)}],
    });
  });

  test.each([
    ['as it was sent', JSON.stringify('x'.repeat(MAX_STATE_BYTES))],
    ['in the database', numbers('1e308', 60)],
  ])('%s makes the state bad, and the records are taken', (_how, data) => {
    const body = parseSyncBody(call(`"state":{"a":${data}},"records":[{"s":1,"k":"a"}]`));
    expect(body).toMatchObject({
      isStateBad: true,
      bad: [],
      faults: [{pointer: '/state', detail: expect.stringContaining(`at most ${MAX_STATE_BYTES} are stored`)}],
    });
    const largest = JSON.stringify('x'.repeat(MAX_STATE_BYTES - '{"a": ""}'.length));
    expect(parseSyncBody(call(`"state":{"a":${largest}},"records":[]`)).isStateBad).toBe(false);
  });

  test('in the state of a heartbeat, which is not stored, is fine', () => {
    const text = `{"epoch":"e1","batchSeq":0,"mode":"heartbeat","state":{"a":${numbers('1e308', 60)}}}`;
    expect(parseSyncBody(Buffer.from(text))).toMatchObject({isStateBad: false, faults: []});
  });

  test('in members that nobody knows, or in all records together, is fine', () => {
    const data = numbers('1e308', 200);
    const records = new Array<string>(100).fill(`{"s":1,"k":"a","x":[${data},${data}],"d":${data}}`);
    expect(parseSyncBody(call(`"records":[${records.join(',')}]`)).bad).toEqual([]);
    const largest = JSON.stringify('x'.repeat(MAX_VALUE_BYTES - 2));
    expect(parseSyncBody(call(`"records":[{"s":1,"k":"a","d":${largest}}]`)).bad).toEqual([]);
  });
});

describe('a number that a double does not hold', () => {
  const call = (rest: string): Buffer => Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta",${rest}}`);

  test.each(['9007199254740993', '1e400'])('%s makes its record bad, and says where and what to do', (number) => {
    const body = parseSyncBody(call(`"records":[{"s":1,"k":"a"},{"s":2,"k":"a","d":{"count":[${number}]}}]`));
    expect(body).toMatchObject({
      bad: [1],
      faults: [{pointer: '/records/1/d/count/0', detail: expect.stringMatching(`^${number} .*send it as text`)}],
    });
  });

  test('in the state makes that bad', () => {
    expect(parseSyncBody(call('"state":{"rx":9007199254740993},"records":[]'))).toMatchObject({
      isStateBad: true,
      faults: [{pointer: '/state/rx', detail: expect.stringContaining('send it as text')}],
    });
    expect(parseSyncBody(call('"state":9007199254740993')).isStateBad).toBe(true);
  });

  test('in members that nobody knows, or as text, is fine', () => {
    expect(
      parseSyncBody(call('"clock":9007199254740993,"records":[{"s":1,"k":"a","d":"9007199254740993"}]')).bad,
    ).toEqual([]);
  });

  test('is other content than its neighbour', () => {
    const [one, other] = ['9007199254740993', '9007199254740992'].map(
      (number) => parseSyncBody(call(`"records":[{"s":1,"k":"a","d":${number}}]`)).contentHash,
    );
    expect(one).not.toBe(other);
  });
});

describe('two members of one name', () => {
  const call = (rest: string): Buffer => Buffer.from(`{"epoch":"e1","batchSeq":1,"mode":"delta",${rest}}`);
  const records = (record: string) => call(`"records":[{"s":1,"k":"a"},${record},{"s":3,"k":"a","d":1e400}]`);

  test.each([
    ['{"s":2,"k":"a","d":{"celsius":1,"celsius":2}}', '/records/1/d/celsius'],
    ['{"s":2,"k":"a","d":[0,{"x/y":{"\\u0061":1, "b":"a\\",:{", "a":[{}]}}]}', '/records/1/d/1/x~1y/a'],
    ['{"s":2,"k":"a","d":{"__proto__":1,"__proto__":{}}}', '/records/1/d/__proto__'],
    ['{"s":2,"k":"a","s":2}', '/records/1/s'],
  ])('make their record %s bad, and the others are taken', (record, pointer) => {
    const body = parseSyncBody(records(record));
    expect(body).toMatchObject({
      bad: [1, 2],
      isStateBad: false,
      faults: [{pointer, detail: expect.stringContaining('comes twice')}, {pointer: '/records/2/d'}],
    });
  });

  test('make the state bad, but for a heartbeat, which stores none', () => {
    const body = parseSyncBody(call('"state":{"fw":{"v":1,"v":1}},"records":[{"s":1,"k":"a"}]'));
    expect(body).toMatchObject({isStateBad: true, bad: [], faults: [{pointer: '/state/fw/v'}]});
    const heartbeat = '{"epoch":"e1","batchSeq":0,"mode":"heartbeat","state":{"v":1,"v":2}}';
    expect(parseSyncBody(Buffer.from(heartbeat))).toMatchObject({isStateBad: false, faults: []});
  });

  test.each([
    ['"records":[{"s":1,"k":"a"}],"records":[{"s":2,"k":"a"}]', '/records'],
    ['"epoch":"e1","records":[]', '/epoch'],
    ['"pull":{"cmdAcks":["a"],"cmdAcks":["b"]}', '/pull/cmdAcks'],
  ])('anywhere else, as in %s, refuse the body', (rest, pointer) => {
    expect(() => parseSyncBody(call(rest))).toThrow(
      expect.objectContaining({code: 'bad-request', errors: [{pointer, detail: expect.any(String)}]}),
    );
  });

  test('make other content than each of them alone, and than what was sent as text', () => {
    const data = ['{"v":1,"v":2}', '{"v":2}', '{"v":2,"v":2}', '{"v":1}', '{"v":2,"v":1}', '"{\\"v\\":1,\\"v\\":2}"'];
    const hashes = data.flatMap((d) => [
      parseSyncBody(call(`"records":[{"s":1,"k":"a","d":${d}}]`)).contentHash,
      parseSyncBody(call(`"state":{"d":${d}},"records":[]`)).contentHash,
    ]);
    expect(new Set(hashes).size).toBe(hashes.length);
    const again = call(`"reason":"retry","records":[{"s":1,"k":"a","d":${data[0]}}]`);
    expect(parseSyncBody(again).contentHash).toBe(hashes[0]);
  });
});

test.each<[unknown, string | undefined]>([
  ['boot', 'boot'],
  ['wakeup', undefined],
  [7, undefined],
  [undefined, undefined],
])('a reason that is %j refuses no batch', (reason, known) => {
  const call = {epoch: 'e1', batchSeq: 1, mode: 'delta', reason, records: [{s: 1, k: 'a'}]};
  expect(parseSyncBody(Buffer.from(JSON.stringify(call)))).toMatchObject({reason: known, recordCount: 1, faults: []});
});

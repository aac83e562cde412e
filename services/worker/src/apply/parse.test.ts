import {expect, test} from '@jest/globals';
import {parseContent} from './parse.ts';

const parse = (body: unknown, bad: readonly number[] = [], badState = false) =>
  parseContent(Buffer.from(JSON.stringify(body)), {bad: [...bad], badState});

test.each([
  ['no JSON', '{'],
  ['no object', '[]'],
  ['records that are no list', '{"records":{}}'],
])('a body with %s is rejected as a whole', (_, text) => {
  expect(parseContent(Buffer.from(text), {bad: []}).kind).toBe('rejected');
});

test('good records and the state are kept as JSON text', () => {
  expect(
    parse({
      state: {v: 1},
      records: [
        {s: 1, k: 'a', t: 1e12, d: {x: [1]}},
        {s: 2, k: 'b'},
      ],
    }),
  ).toEqual({
    kind: 'good',
    state: '{"v":1}',
    records: [
      {ordinal: 0, seq: 1, kind: 'a', timeMs: 1e12, badTime: false, data: '{"x":[1]}'},
      {ordinal: 1, seq: 2, kind: 'b', timeMs: undefined, badTime: false, data: undefined},
    ],
    bad: [],
    cmdAcks: [],
  });
});

test.each([
  ['no number', {s: '1', k: 'a'}],
  ['a number below zero', {s: -1, k: 'a'}],
  ['no kind', {s: 1}],
  ['NUL in the kind', {s: 1, k: 'a\0'}],
  ['NUL in the data', {s: 1, k: 'a', d: {deep: ['\0']}}],
  ['NUL in a key', {s: 1, k: 'a', d: {'\0': 1}}],
  ['half a surrogate pair', {s: 1, k: 'a', d: '\udc00'}],
  ['a time that is no number', {s: 1, k: 'a', t: '2026-11-28'}],
  ['no object', null],
])('a record with %s is bad and its neighbour is not', (_, record) => {
  const content = parse({records: [record, {s: 9, k: 'fine'}]});
  expect(content).toMatchObject({kind: 'good', records: [{seq: 9}], bad: [{pointer: '/records/0'}]});
});

test.each([
  ['seconds', 1_763_890_000],
  ['microseconds', 1_763_890_000_000_000],
  ['a clock that was never set', 86_400_000],
  ['a time before 1970', -1],
  ['the last day of all', 1e20],
  ['nanoseconds', '1763890000123456789'],
  ['infinite', '1e400'],
])('a record whose time is %s is kept without it, and flagged', (_what, t) => {
  expect(parseContent(Buffer.from(`{"records": [{"s": 1, "k": "a", "t": ${t}, "d": 1}]}`), {bad: []})).toMatchObject({
    records: [{timeMs: undefined, badTime: true, data: '1'}],
    bad: [],
  });
});

test('bytes that are no text are never decoded to something else', () => {
  const body = Buffer.from('{"records": [{"s": 1, "k": "a", "d": "?"}]}');
  body[body.indexOf('?')] = 0xff;
  expect(parseContent(body, {bad: []})).toEqual({kind: 'rejected', reason: 'the body is not UTF-8'});
});

test('a record that was refused at the edge stays refused', () => {
  const content = parse(
    {
      records: [
        {s: 1, k: 'a'},
        {s: 2, k: 'b'},
      ],
    },
    [1],
  );
  expect(content).toMatchObject({records: [{seq: 1}], bad: [{pointer: '/records/1'}]});
});

test('text that only looks like an escaped NUL is good', () => {
  expect(parse({records: [{s: 1, k: 'a', d: 'C:\\u0000\\ud800'}]})).toMatchObject({records: [{seq: 1}], bad: []});
});

test('a state that cannot be stored is set aside and the records are applied', () => {
  expect(parse({state: {x: '\0'}, records: [{s: 1, k: 'a'}]})).toMatchObject({
    state: undefined,
    records: [{seq: 1}],
    bad: [{pointer: '/state'}],
  });
});

test('a state that was refused at the edge stays refused', () => {
  expect(parse({state: {x: 1}, records: [{s: 1, k: 'a'}]}, [], true)).toMatchObject({
    state: undefined,
    records: [{seq: 1}],
    bad: [{pointer: '/state'}],
  });
});

test.each(['9007199254740993', '1e400'])('%s is set aside digit by digit, and its neighbour is applied', (number) => {
  const record = `{"s":1,"k":"a","d":{"count":${number}}}`;
  const content = parseContent(Buffer.from(`{"state":{"n":[${number}]},"records":[${record},{"s":2,"k":"a","d":1}]}`), {
    bad: [],
  });
  expect(content).toMatchObject({state: undefined, records: [{seq: 2}]});
  expect(content.kind === 'good' && content.bad.map(({pointer, payload}) => [pointer, payload.toString()])).toEqual([
    ['/records/0', record],
    ['/state', `{"n":[${number}]}`],
  ]);
});

test('what has two members of one name is set aside as it was sent, and its neighbour is applied', () => {
  const record = '{"s":1,"k":"a","d":{"count":1, "count":9007199254740993}}';
  const state = '{"n":[{"a":"\\u00e9","a":2}]}';
  const content = parseContent(Buffer.from(`{"state":${state},"records":[${record},{"s":2,"k":"a","d":1}]}`), {
    bad: [],
  });
  expect(content).toMatchObject({state: undefined, records: [{seq: 2}]});
  expect(content.kind === 'good' && content.bad.map(({pointer, payload}) => [pointer, payload.toString()])).toEqual([
    ['/records/0', record],
    ['/state', state],
  ]);
  expect(parseContent(Buffer.from('{"records":[],"records":[]}'), {bad: []})).toMatchObject({kind: 'rejected'});
});

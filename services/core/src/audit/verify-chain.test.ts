import {describe, expect, test} from '@jest/globals';
import {type AuditRow, type ChainedRow, headText, macOf, NO_MAC, parseHead} from './audit-row.ts';
import {checkEnd, checkOutbox, checkRows} from './verify-chain.ts';

const KEY = 'a key';
const START = {seq: 0, mac: NO_MAC, counters: new Map<number, number>()};

const entry = (counter: number): AuditRow => ({
  ...{id: `id-${counter}`, counter, at: '2026-11-28T00:00:00.000000Z', actor: 'ann', actorToken: null, role: 'admin'},
  ...{
    action: 'session.begin',
    objectKind: 'session',
    objectId: 's',
    groupIds: null,
    before: null,
    after: '{"name": "n"}',
  },
  ...{requestId: null, address: null},
});

/** A chain of entries of two shards by turns. */
const chainOf = (count: number): readonly ChainedRow[] => {
  let mac: Buffer = NO_MAC;
  return Array.from({length: count}, (_, index) => {
    const row = {...entry(1 + Math.floor(index / 2)), shard: index % 2, seq: index + 1};
    mac = macOf(KEY, mac, row);
    return {...row, mac};
  });
};

const without = <T>(rows: readonly T[], ...indexes: readonly number[]): readonly T[] =>
  rows.filter((_, index) => !indexes.includes(index));

describe('rows of the chain', () => {
  const rows = chainOf(6);

  test('that nobody touched are whole, in one part or in many', () => {
    expect(checkRows(KEY, START, rows).findings).toEqual([]);
    const first = checkRows(KEY, START, rows.slice(0, 3));
    const second = checkRows(KEY, first.place, rows.slice(3));
    expect(second.findings).toEqual([]);
    expect(second.place).toEqual({
      seq: 6,
      mac: rows[5]?.mac,
      counters: new Map([
        [0, 3],
        [1, 3],
      ]),
    });
  });

  test.each([
    ['actor', {actor: 'bob'}],
    ['actorToken', {actorToken: 'x'}],
    ['at', {at: '2026-11-28T00:00:00.000001Z'}],
    ['role', {role: 'viewer'}],
    ['action', {action: 'session.end'}],
    ['objectKind', {objectKind: 'device'}],
    ['objectId', {objectId: 't'}],
    ['groupIds', {groupIds: [1]}],
    ['before', {before: '{}'}],
    ['after', {after: null}],
    ['requestId', {requestId: 'r'}],
    ['address', {address: '::1'}],
    ['id', {id: 'other'}],
  ])('one with another %s is found, and no other', (_what, change) => {
    const changed = rows.map((row) => (row.seq === 3 ? {...row, ...change} : row));
    expect(checkRows(KEY, START, changed).findings).toEqual([{kind: 'changed', fromSeq: 3, toSeq: 3}]);
  });

  test('signed with another key are one finding', () => {
    expect(checkRows('another', START, rows).findings).toEqual([{kind: 'changed', fromSeq: 1, toSeq: 6}]);
  });

  test('that are gone from within are found, and what their shards lack', () => {
    expect(checkRows(KEY, START, without(rows, 2)).findings).toEqual([
      {kind: 'removed', fromSeq: 3, toSeq: 3},
      {kind: 'missing', shard: 0, fromCounter: 2, toCounter: 2},
    ]);
  });

  test('are compared with a head that was kept', () => {
    const kept = {seq: 4, mac: Buffer.alloc(32, 7)};
    expect(checkRows(KEY, START, rows, kept).findings).toEqual([{kind: 'replaced', fromSeq: 4, toSeq: 4}]);
    expect(checkRows(KEY, START, rows, rows[3]).findings).toEqual([]);
  });

  test('of a shard that counts from where it was are found once', () => {
    const again = rows.map((row) => (row.shard === 0 && row.seq > 2 ? {...row, counter: row.counter - 1} : row));
    let mac: Buffer = NO_MAC;
    const signed = again.map((row) => {
      mac = macOf(KEY, mac, row);
      return {...row, mac};
    });
    expect(checkRows(KEY, START, signed).findings).toEqual([
      {kind: 'set-back', shard: 0, fromCounter: 1, toCounter: 1},
    ]);
  });
});

describe('the end of the chain', () => {
  const rows = chainOf(6);
  const head = {seq: 6, mac: rows[5]?.mac ?? NO_MAC};
  const at = (seq: number) => checkRows(KEY, START, rows.slice(0, seq)).place;

  test.each([
    ['whole', 6, head, undefined, []],
    ['cut', 4, head, undefined, [{kind: 'cut', fromSeq: 5, toSeq: 6}]],
    ['cut, and its head with it', 4, {seq: 4, mac: rows[3]?.mac ?? NO_MAC}, undefined, []],
    [
      'that, and a head was kept',
      4,
      {seq: 4, mac: rows[3]?.mac ?? NO_MAC},
      head,
      [{kind: 'cut', fromSeq: 5, toSeq: 6}],
    ],
    ['without a head', 6, undefined, undefined, [{kind: 'head'}]],
    ['with an older head', 6, {seq: 5, mac: NO_MAC}, undefined, [{kind: 'head'}]],
    ['with another head', 6, {seq: 6, mac: NO_MAC}, undefined, [{kind: 'head'}]],
  ])('%s', (_what, seq, says, kept, findings) => {
    expect(checkEnd(at(seq), says, kept)).toEqual(findings);
  });
});

describe('what a shard has counted', () => {
  const chained = {counters: new Map([[0, 5]])};
  const none = {shard: 0, pending: 0, first: null, highest: null, gaps: []};
  const missing = (fromCounter: number, toCounter: number) => ({kind: 'missing', shard: 0, fromCounter, toCounter});

  test.each([
    ['is chained', {...none, last: 5}, []],
    ['waits', {...none, last: 8, pending: 3, first: 6, highest: 8}, []],
    ['is chained and was not cleared yet', {...none, last: 5, pending: 2, first: 4, highest: 5}, []],
    ['was deleted, all that waited', {...none, last: 7}, [missing(6, 7)]],
    ['was deleted at the front', {...none, last: 8, pending: 1, first: 8, highest: 8}, [missing(6, 7)]],
    ['was deleted at the end', {...none, last: 8, pending: 1, first: 6, highest: 6}, [missing(7, 8)]],
    [
      'was deleted between',
      {...none, last: 8, pending: 2, first: 6, highest: 8, gaps: [[7, 7]] as const},
      [missing(7, 7)],
    ],
    ['is less than was chained', {...none, last: 3}, [{kind: 'set-back', shard: 0, fromCounter: 3, toCounter: 5}]],
  ])('%s', (_what, state, findings) => {
    expect(checkOutbox(chained, state)).toEqual(findings);
  });
});

test('a head is text and back', () => {
  const head = {seq: 12, mac: Buffer.alloc(32, 0xab)};
  expect(parseHead(headText(head))).toEqual(head);
  for (const text of ['', '12', '12:ab', `x:${'ab'.repeat(32)}`]) expect(parseHead(text)).toBeUndefined();
});

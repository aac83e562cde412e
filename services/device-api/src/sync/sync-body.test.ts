import {expect, test} from '@jest/globals';
import {MAX_RECORDS, parseSyncBody} from './sync-body.ts';

test('every bad record is named, however many there are', () => {
  // Two faults each.
  const records = Array.from({length: MAX_RECORDS}, () => ({s: 'x', k: 7}));
  const body = parseSyncBody(Buffer.from(JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', records})));
  expect(body.bad).toHaveLength(MAX_RECORDS);
  const named = new Set(body.faults.map(({pointer}) => /^\/records\/(\d+)/.exec(pointer)?.[1]));
  expect(named.size).toBe(MAX_RECORDS);
  expect(body.faults.length).toBeLessThan(2 * MAX_RECORDS);
});

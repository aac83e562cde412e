import {expect, test} from '@jest/globals';
import {afterSync, startSession} from './machine.ts';
import {Outbox} from './outbox.ts';
import {syncAnswerSchema} from './wire.ts';

const HOUR_MS = 3600_000;

test('a batch that is accepted and not applied for a day is sent again with those behind it, and not before', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1'});
  for (let batchSeq = 1; batchSeq <= 3; batchSeq++) {
    outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'scheduled'});
    outbox.apply({op: 'accepted', epoch: 'e1', batchSeq});
  }
  let session = startSession(true, true, 0);
  /** The number that is sent next, after the region said at this hour that it has applied so much. */
  const hear = (hour: number, applied: number): number | undefined => {
    const sync = syncAnswerSchema.parse({applied});
    const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
    const step = afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: hour * HOUR_MS, random: 0});
    session = step.session;
    for (const entry of step.entries) outbox.apply(entry);
    return outbox.toSend?.batchSeq;
  };
  expect(hear(0, 0)).toBeUndefined();
  expect(hear(23, 1)).toBeUndefined();
  // Batch 2 is awaited since hour 23.
  expect(hear(46, 1)).toBeUndefined();
  expect(hear(47, 1)).toBe(2);
  expect(outbox.batches.map(({batchSeq, accepted}) => [batchSeq, accepted])).toEqual([
    [2, false],
    [3, false],
  ]);
});

test('a hurried device waits the same share of every step, however often it fails', () => {
  const outbox = new Outbox();
  const waits = (backoffScale: number): number[] => {
    let session = startSession(true, false, 0);
    const answer = {kind: 'later', status: 503, error: 'HTTP 503', retryAfterMs: undefined} as const;
    return Array.from({length: 12}, () => {
      session = afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0.5, backoffScale}).session;
      return session.notBeforeMs;
    });
  };
  expect(waits(0.01)).toEqual(waits(1).map((ms) => expect.closeTo(ms / 100, 6)));
});

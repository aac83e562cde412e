import {describe, expect, test} from '@jest/globals';
import {classifySync} from './answer.ts';
import {afterSync, startSession, WINDOW_BATCHES, type Session} from './machine.ts';
import {Outbox} from './outbox.ts';
import {PROBLEM_TYPE, syncAnswerSchema} from './wire.ts';

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

test('a device whose window is full pauses before it asks again, however much it still has', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1'});
  for (let batchSeq = 1; batchSeq <= WINDOW_BATCHES; batchSeq++) {
    outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'scheduled'});
    outbox.apply({op: 'accepted', epoch: 'e1', batchSeq});
  }
  outbox.apply({op: 'reading', reading: {k: 'n', t: 1, d: {}}});
  const dueAfter = (applied: number): number => {
    const sync = syncAnswerSchema.parse({applied, continueNow: true});
    const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
    return afterSync(startSession(true, false, 0), {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0.5}).session
      .dueMs;
  };
  expect(dueAfter(0)).toBe(15_000);
  expect(dueAfter(1)).toBe(0);
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

describe('a device that is told 429', () => {
  const HOME = 'https://home.example.com';
  const failing: Session = {...startSession(true, false, 0), failures: 2, refusals: 2, home: HOME};
  const hear = (
    session: Session,
    retryAfter: string | undefined,
    random: number,
    type = `${PROBLEM_TYPE}rate-limited`,
  ) =>
    afterSync(
      session,
      {epoch: 'e1'},
      classifySync({kind: 'reply', status: 429, retryAfter, body: JSON.stringify({type})}, undefined),
      new Outbox(),
      {nowMs: 0, random},
    ).session;

  test.each([
    ['1', 1, 1.1],
    ['30', 30, 33],
    ['999999', 24 * 3600, 24 * 3600],
  ])('waits the %s s that its quota needs, little more, and a day at most', (retryAfter, leastS, mostS) => {
    for (const session of [startSession(true, false, 0), failing]) {
      expect(hear(session, retryAfter, 0).notBeforeMs).toBe(leastS * 1000);
      expect(hear(session, retryAfter, 0.999).notBeforeMs).toBeLessThanOrEqual(mostS * 1000);
    }
  });

  test('neither fails nor recovers by it, however often', () => {
    let session = failing;
    for (let n = 0; n < 10; n++) session = hear(session, '30', 0.5);
    expect(session).toMatchObject({failures: 2, refusals: 2, home: HOME, attempt: 11, phase: 'sync'});
    expect(session.lastError).toMatch(/^HTTP 429/);
  });

  test.each([
    ['without a pause', undefined, undefined],
    ['with a pause of nothing', '0', undefined],
    ['by somebody in between', '30', 'about:blank'],
  ])('takes it for an outage %s', (_what, retryAfter, type) => {
    const session = hear({...failing, failures: 0}, retryAfter, 0.5, type);
    expect(session).toMatchObject({failures: 1, notBeforeMs: 60_000});
    expect(hear(failing, retryAfter, 0.5, type)).toMatchObject({failures: 3, home: undefined});
  });
});

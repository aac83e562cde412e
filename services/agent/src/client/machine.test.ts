import {describe, expect, test} from '@jest/globals';
import {classifySync, type SentSync} from './answer.ts';
import {afterEnrol, afterSync, decide, WINDOW_BATCHES} from './machine.ts';
import {Outbox, type OutboxEntry} from './outbox.ts';
import {startSession, wakeUp, type Session, type Step} from './session.ts';
import {enrolAnswerSchema, PROBLEM_TYPE, syncAnswerSchema} from './wire.ts';

const HOUR_MS = 3600_000;

const CALL: SentSync = {
  ...{nonce: 'n', region: 'a', deviceId: 'd', epoch: 'e1', batchSeq: undefined},
  ...{body: Buffer.alloc(0), sizeBytes: 0, homes: []},
};

/** Of a device that has its place. */
const started = (outbox = new Outbox()): Session => ({
  ...startSession({isEnrolled: true, outbox, nowMs: 0}),
  isPositionKnown: true,
});

test('a batch that is accepted and not applied for a day is sent again with those behind it, and not before', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
  for (let batchSeq = 1; batchSeq <= 3; batchSeq++) {
    outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'scheduled'});
    outbox.apply({op: 'accepted', epoch: 'e1', batchSeq});
  }
  let session = startSession({isEnrolled: true, outbox: new Outbox(), nowMs: 0});
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
  outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
  for (let batchSeq = 1; batchSeq <= WINDOW_BATCHES; batchSeq++) {
    outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'scheduled'});
    outbox.apply({op: 'accepted', epoch: 'e1', batchSeq});
  }
  outbox.apply({op: 'reading', reading: {k: 'n', t: 1, d: {}}});
  let session = started();
  const dueAfter = (applied: number): number => {
    const sync = syncAnswerSchema.parse({applied, continueNow: true});
    const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
    session = afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0.5}).session;
    return session.dueMs / 1000;
  };
  // A shard may be away for hours, and all its devices ask.
  expect(Array.from({length: 10}, () => dueAfter(0))).toEqual([15, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800]);
  expect([dueAfter(1), dueAfter(0)]).toEqual([0, 15]);
});

test('a hurried device waits the same share of every step, however often it fails', () => {
  const outbox = new Outbox();
  const waits = (backoffScale: number): number[] => {
    let session = started();
    const answer = {kind: 'later', status: 503, error: 'HTTP 503', retryAfterMs: undefined} as const;
    return Array.from({length: 12}, () => {
      session = afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0.5, backoffScale}).session;
      return session.notBeforeMs;
    });
  };
  expect(waits(0.01)).toEqual(waits(1).map((ms) => expect.closeTo(ms / 100, 6)));
});

describe.each([
  ['had a 2xx', true],
  ['had no 2xx and may have been taken', false],
])('a batch that %s, and comes through no more', (_what, hadAnswer) => {
  const asked = (applied: number) =>
    ({kind: 'accepted', status: 200, sync: syncAnswerSchema.parse({applied}), bad: new Set<number>()}) as const;
  /** The second of three batches is asked for, and again after so many hours. @param meanwhile what happens in between */
  const ask = (
    {hours, applied, meanwhile = []}: {hours: number; applied: number; meanwhile?: readonly OutboxEntry[]},
    since: readonly OutboxEntry[] = [],
  ) => {
    const outbox = new Outbox();
    const journal: OutboxEntry[] = [];
    const write = (entries: readonly OutboxEntry[]): void => {
      journal.push(...entries);
      for (const entry of entries) outbox.apply(entry);
    };
    write([{op: 'epoch', epoch: 'e1', life: 'one'}]);
    for (const batchSeq of [1, 2, 3]) {
      write([{op: 'reading', reading: {k: 'n', t: batchSeq, d: {}}}]);
      write([{op: 'seal', count: 1, mode: 'delta', reason: 'scheduled', state: {v: batchSeq}}]);
      if (hadAnswer || batchSeq !== 2) write([{op: 'accepted', epoch: 'e1', batchSeq}]);
    }
    if (hadAnswer)
      write([
        {op: 'resend', epoch: 'e1', from: 2},
        {op: 'accepted', epoch: 'e1', batchSeq: 3},
      ]);
    write(since);
    let session: Session = {...started(outbox), blocked: {epoch: 'e1', batchSeq: 2}};
    const hear = (nowMs: number): Step => {
      const step = afterSync(session, {epoch: 'e1'}, asked(applied), outbox, {nowMs, random: 0.5});
      session = step.session;
      write(step.entries);
      return step;
    };
    hear(0);
    write(meanwhile);
    const copy = outbox.toSend;
    const lost = {kind: 'later', status: undefined, error: 'the answer is lost', retryAfterMs: undefined} as const;
    if (copy !== undefined) {
      session = afterSync(session, copy, lost, outbox, {nowMs: 0, random: 0.5}).session;
      write([{op: 'accepted', epoch: 'e1', batchSeq: 2}]);
    }
    const step = hear(hours * HOUR_MS);
    const replayed = new Outbox();
    for (const entry of structuredClone(journal)) replayed.apply(entry);
    return {outbox, replayed, step};
  };

  test('is empty after hours, with its state, and its readings wait, when only it is missing', () => {
    const {outbox, replayed, step} = ask({hours: 6, applied: 1});
    expect(outbox.toSend).toMatchObject({batchSeq: 2, records: [], state: {v: 2}});
    expect(outbox).toMatchObject({queued: 1, lastBatchSeq: 3, dropped: 0});
    expect(step.session).toMatchObject({blocked: undefined, newSecretWanted: false, dueMs: 6 * HOUR_MS});
    expect([...replayed.entries()]).toEqual([...outbox.entries()]);
  });

  test.each<[string, Parameters<typeof ask>[0]]>([
    ['one before it is missing too, because then it may be applied', {hours: 6, applied: 0}],
    ['a copy of it may still be on its way', {hours: 5, applied: 1}],
    [
      'it was sent again since, because that try may have been taken',
      {
        hours: 6,
        applied: 1,
        meanwhile: [
          {op: 'resend', epoch: 'e1', from: 2},
          {op: 'accepted', epoch: 'e1', batchSeq: 3},
        ],
      },
    ],
  ])('waits as accepted when %s', (_why, when) => {
    const {outbox, step} = ask(when);
    expect(outbox.batches.find(({batchSeq}) => batchSeq === 2)).toMatchObject({accepted: true, records: [{}]});
    expect({queued: outbox.queued, blocked: step.session.blocked}).toEqual({queued: 0, blocked: undefined});
    expect(step.session.newSecretWanted).toBe(false);
  });

  test('gives its readings other numbers where its epoch has a gap, so that nobody would call it applied', () => {
    const {outbox} = ask({hours: 0, applied: 0}, [
      {op: 'epoch', epoch: 'e2', life: 'one'},
      {op: 'send-once', epoch: 'e1'},
    ]);
    expect(outbox.batches.map(({batchSeq}) => batchSeq)).toEqual([1, 3]);
    expect(outbox).toMatchObject({queued: 1, dropped: 0});
  });

  test('is forgotten when it is applied', () => {
    expect(ask({hours: 6, applied: 2}).outbox.batches).toMatchObject([{batchSeq: 3}]);
  });
});

describe('what was accepted before a start', () => {
  const boot = (outbox: Outbox): Session => startSession({isEnrolled: true, outbox, nowMs: 0});
  /** The device hears at the hours that the region gives it, until it has to start again. @returns the hour at which it sends again */
  const hearUntilResend = (upHours: number, applied = 0): number | undefined => {
    const outbox = new Outbox();
    outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
    outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'scheduled'});
    outbox.apply({op: 'accepted', epoch: 'e1', batchSeq: 1});
    for (let startHour = 0; startHour < 200; startHour += upHours) {
      let session = boot(outbox);
      for (let hour = startHour; hour < startHour + upHours; hour += 0.25) {
        const nowMs = (hour - startHour) * HOUR_MS;
        if (decide(session, outbox, nowMs).kind !== 'heartbeat') continue;
        // Each day at half past midnight.
        const nextSyncAt = ((24.5 - (hour % 24)) % 24 || 24) * HOUR_MS;
        const sync = syncAnswerSchema.parse({applied, serverTime: 0, nextSyncAt});
        const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
        const step = afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs, random: 0});
        session = step.session;
        for (const entry of step.entries) outbox.apply(entry);
        if (outbox.toSend !== undefined) return hour;
      }
    }
    return undefined;
  };

  test.each([
    [1, 2],
    [4, 8],
    [20, 24.5],
    [23, 24.5],
  ])(
    'is sent again at the fourth answer, first ones and scheduled ones, where a start comes every %i hours',
    (upHours, hour) => {
      expect(hearUntilResend(upHours)).toBe(hour);
    },
  );
  test('is not sent again when it is applied', () => {
    expect(hearUntilResend(20, 1)).toBeUndefined();
  });
});

test('a device that stopped, because nothing of its window is applied, sends it again after a start', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
  for (let batchSeq = 1; batchSeq <= WINDOW_BATCHES; batchSeq++) {
    outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'scheduled'});
    outbox.apply({op: 'accepted', epoch: 'e1', batchSeq});
  }
  const sync = syncAnswerSchema.parse({applied: 0});
  const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
  const session = startSession({isEnrolled: true, outbox, nowMs: 0});
  const {entries} = afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0});
  expect(entries).toContainEqual({op: 'resend', epoch: 'e1', from: 1});
});

test('a new epoch comes after three gaps, and not after three failures of which one was a gap', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
  outbox.apply({op: 'seal', count: 0, mode: 'delta', reason: 'boot'});
  const [batch] = outbox.batches;
  const later = {kind: 'later', status: 503, error: 'HTTP 503', retryAfterMs: undefined} as const;
  const gap = {kind: 'gap', status: 409, error: 'gap', expected: 1000} as const;
  const wants = (...answers: readonly (typeof later | typeof gap)[]): boolean => {
    let session = started(outbox);
    for (const answer of answers) {
      if (batch !== undefined) session = afterSync(session, batch, answer, outbox, {nowMs: 0, random: 0}).session;
    }
    return session.newSecretWanted;
  };
  expect([wants(later, later, gap), wants(gap, later, gap, later, gap)]).toEqual([false, true]);
});

test('a device that was started waits its share before it says anything, also where it is enrolled', () => {
  const outbox = new Outbox();
  for (const isEnrolled of [true, false]) {
    const session = startSession({isEnrolled, outbox, nowMs: 1000, delayMs: 60_000});
    expect(decide(session, outbox, 1000)).toEqual({kind: 'wait', untilMs: 61_000});
    expect(decide(wakeUp(session, 'forced', 1000), outbox, 1000)).toEqual({kind: 'wait', untilMs: 61_000});
  }
});

test('a command for a new epoch that is done is not done again, however often it is listed', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
  const hear = (session: Session) => {
    const sync = syncAnswerSchema.parse({applied: 0, commands: [{id: 'c1', type: 'epoch.new'}]});
    const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
    return afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0}).session;
  };
  expect(hear(started(outbox))).toMatchObject({newSecretWanted: true, epochCommand: 'c1'});
  outbox.apply({op: 'done', ids: ['c1']});
  expect(hear(started(outbox))).toMatchObject({newSecretWanted: false, cmdAcks: ['c1']});
});

test('enrolments that do not last come ever later, and one that lasted makes the next prompt', () => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
  const refused = {kind: 'enrol-again', status: 401, error: 'HTTP 401', epochUnknown: false} as const;
  const answer = enrolAnswerSchema.parse({deviceId: 'd', credential: 'c', epoch: 'e1', region: 'a', nonce: 'n'});
  const how = {life: 'one', isReplacing: false, hasCurrent: true};
  const taken = {
    kind: 'accepted',
    status: 200,
    sync: syncAnswerSchema.parse({applied: 0}),
    bad: new Set<number>(),
  } as const;
  let session = started(outbox);
  let nowMs = 0;
  /** Is shut out, enrols, and syncs. @returns how long it waited before it enrolled */
  const round = (): number => {
    const chance = {nowMs, random: 0.5};
    session = afterSync(session, {epoch: 'e1'}, refused, outbox, chance).session;
    const waitMs = session.notBeforeMs - nowMs;
    nowMs = session.notBeforeMs;
    session = afterEnrol(session, {kind: 'enrolled', answer}, outbox, {nowMs, random: 0.5}, how).session;
    session = afterSync(session, {epoch: 'e1'}, taken, outbox, {nowMs, random: 0.5}).session;
    return waitMs;
  };
  const waits = Array.from({length: 12}, round);
  expect(waits).toEqual([60, 60, 60, 60, 60, 120, 240, 480, 960, 1800, 1800, 1800].map((s) => s * 1000));
  nowMs += 24 * HOUR_MS;
  session = afterSync(session, {epoch: 'e1'}, taken, outbox, {nowMs, random: 0.5}).session;
  expect(round()).toBe(60_000);
});

describe('a device that is told 429', () => {
  const HOME = 'https://home.example.com';
  const failing: Session = {...started(), failures: 2, refusals: 2, home: HOME};
  const hear = (
    session: Session,
    retryAfter: string | undefined,
    random: number,
    type = `${PROBLEM_TYPE}rate-limited`,
  ) =>
    afterSync(
      session,
      {epoch: 'e1'},
      classifySync(
        {kind: 'reply', status: 429, retryAfter, body: JSON.stringify({type, nonce: 'n', region: 'a'})},
        CALL,
      ),
      new Outbox(),
      {nowMs: 0, random},
    ).session;

  test.each([
    ['1', 1, 1.1],
    ['30', 30, 33],
    ['999999', 24 * 3600, 24 * 3600],
  ])('waits the %s s that its quota needs, little more, and a day at most', (retryAfter, leastS, mostS) => {
    for (const session of [started(), failing]) {
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

describe('a batch that comes too slowly', () => {
  const sealed = (count: number): Outbox => {
    const outbox = new Outbox();
    outbox.apply({op: 'epoch', epoch: 'e1', life: 'one'});
    for (let n = 0; n < 4; n++) outbox.apply({op: 'reading', reading: {k: 'n', t: n, d: {}}});
    outbox.apply({op: 'seal', count, mode: 'delta', reason: 'scheduled'});
    return outbox;
  };
  const hear = (session: Session, outbox: Outbox, body: string): Session => {
    const sent = outbox.toSend ?? {epoch: 'e1'};
    const answer = classifySync({kind: 'reply', status: 408, retryAfter: undefined, body}, CALL);
    const step = afterSync(session, sent, answer, outbox, {nowMs: 0, random: 0});
    for (const entry of step.entries) outbox.apply(entry);
    return step.session;
  };
  const region = JSON.stringify({type: `${PROBLEM_TYPE}request-timeout`, status: 408, nonce: 'n', region: 'a'});

  test('for somebody in between, who may have let it through, keeps its number', () => {
    const outbox = sealed(4);
    expect(hear(started(), outbox, '<html>').failures).toBe(1);
    expect(outbox.toSend?.records).toHaveLength(4);
  });

  test('for the region is halved, and nothing of it is given up', () => {
    const outbox = sealed(4);
    expect(hear({...started(), untaken: 'e1/1'}, outbox, region)).toMatchObject({recordLimit: 2, failures: 0});
    expect(outbox).toMatchObject({queued: 4, lastBatchSeq: 0, toSend: undefined});
    const single = sealed(1);
    let session: Session = {...started(), untaken: 'e1/1'};
    for (let time = 0; time < 5; time++) session = hear(session, single, region);
    expect(session.failures).toBe(5);
    expect(single).toMatchObject({queued: 3, dropped: 0, toSend: {batchSeq: 1}});
  });

  test('and may have been taken keeps its number', () => {
    const outbox = sealed(4);
    expect(hear(started(), outbox, region).failures).toBe(1);
    expect(outbox.toSend?.records).toHaveLength(4);
  });
});

import {expect, test} from '@jest/globals';
import {afterSync} from './machine.ts';
import {Outbox, type Batch, type OutboxEntry} from './outbox.ts';
import {startSession} from './session.ts';
import {syncAnswerSchema} from './wire.ts';

const DAY_MS = 86_400_000;

/** A device whose card lost the first batch of `e1`, and has the two behind it. */
const deviceIn = (present: string): Outbox => {
  const outbox = new Outbox();
  outbox.apply({op: 'epoch', epoch: present, life: 'one'});
  for (const batchSeq of [2, 3]) {
    const batch: Batch = {
      ...{epoch: 'e1', batchSeq, mode: 'delta', reason: 'scheduled', state: undefined, records: [], accepted: true},
    };
    outbox.apply({op: 'batch', batch});
  }
  return outbox;
};

/** What the device writes down when it hears of `e1` for a day that so much is applied. */
const hearForADay = (outbox: Outbox, applied: number): readonly OutboxEntry[] => {
  const sync = syncAnswerSchema.parse({applied});
  const answer = {kind: 'accepted', status: 200, sync, bad: new Set<number>()} as const;
  const first = {...startSession({isEnrolled: true, outbox: new Outbox(), nowMs: 0}), isPositionKnown: true};
  const {session} = afterSync(first, {epoch: 'e1'}, answer, outbox, {nowMs: 0, random: 0});
  return afterSync(session, {epoch: 'e1'}, answer, outbox, {nowMs: DAY_MS, random: 0}).entries;
};

test('what stands behind a gap of an epoch that is over is sent once more, and forgotten when it is accepted', () => {
  const outbox = deviceIn('e2');
  for (const entry of hearForADay(outbox, 0)) outbox.apply(entry);
  expect(outbox.toSend?.batchSeq).toBe(2);
  for (const batchSeq of [2, 3]) outbox.apply({op: 'accepted', epoch: 'e1', batchSeq});
  expect(outbox.batches).toEqual([]);
});

test.each([
  ['there is no gap', 'e2', 1],
  ['the epoch goes on, because the region may have lost it', 'e1', 0],
])('what is not applied for a day is sent again and kept where %s', (_why, present, applied) => {
  expect(hearForADay(deviceIn(present), applied)).toContainEqual({op: 'resend', epoch: 'e1', from: 2});
});

import {expect, test} from '@jest/globals';
import type {Sighting, Unwritten} from '@pisync/core/devices/last-seen';
import {createLastSeen} from './last-seen.ts';

const seen = (deviceKey: number, seenAtMs: number): Sighting => ({deviceKey, slot: 0, seenAtMs});

/** Rounds begin when they are told to. @param answers what is left of each round */
const rounds = (answers: readonly (readonly Unwritten[])[]) => {
  const written: (readonly Sighting[])[] = [];
  const faults: unknown[] = [];
  let due: (() => void) | undefined;
  const lastSeen = createLastSeen({
    write: (sightings) => Promise.resolve(answers[written.push(sightings) - 1] ?? []),
    intervalMs: 1000,
    after: (_ms, callback) => {
      due = callback;
      return () => (due = undefined);
    },
    onFault: (reason) => faults.push(reason),
  });
  const next = async (): Promise<void> => {
    const round = due;
    due = undefined;
    round?.();
    // A round that has begun is over before the next one is.
    await new Promise(setImmediate);
  };
  return {lastSeen, written, faults, next, isArmed: () => due !== undefined};
};

test('what somebody has the row of is written in the next round, unless there is a newer one, and is no fault', async () => {
  const {lastSeen, written, faults, next} = rounds([[{sightings: [seen(1, 10), seen(2, 10)]}]]);
  for (const key of [1, 2, 3]) lastSeen.note(seen(key, 10));
  const first = next();
  lastSeen.note(seen(2, 20));
  await first;
  await next();
  await next();
  expect(written).toEqual([
    [seen(1, 10), seen(2, 10), seen(3, 10)],
    [seen(2, 20), seen(1, 10)],
  ]);
  expect(faults).toHaveLength(0);
});

test('what a shard did not take is written in the next round, and is a fault', async () => {
  const reason = new Error('away');
  const {lastSeen, written, faults, next} = rounds([[{sightings: [seen(1, 10)], reason}]]);
  lastSeen.note(seen(1, 10));
  await next();
  await next();
  expect(written).toEqual([[seen(1, 10)], [seen(1, 10)]]);
  expect(faults).toEqual([reason]);
});

test('who stops writes what is left, once', async () => {
  const {lastSeen, written, isArmed} = rounds([[{sightings: [seen(1, 10)]}]]);
  lastSeen.note(seen(1, 10));
  await lastSeen.stop();
  expect(written).toEqual([[seen(1, 10)]]);
  expect(isArmed()).toBe(false);
});

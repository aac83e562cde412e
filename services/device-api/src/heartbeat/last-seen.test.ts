import {expect, test} from '@jest/globals';
import type {Sighting, Unwritten} from '@pisync/core/devices/last-seen';
import {createLastSeen, createLastSeenByShard} from './last-seen.ts';

const seen = (deviceKey: number, seenAtMs: number): Sighting => ({deviceKey, slot: 0, seenAtMs});

/** Rounds begin when they are told to. @param answers what is left of each round */
const rounds = (answers: readonly (readonly Unwritten[])[]) => {
  const written: (readonly Sighting[])[] = [];
  const faults: unknown[] = [];
  let due: (() => void) | undefined;
  const lastSeen = createLastSeen({
    write: (sightings) => Promise.resolve(answers[written.push(sightings) - 1] ?? []),
    intervalMs: 1000,
    maxWaiting: () => 50_000,
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

test('what waits for a shard that is away takes no room of the others, and delays nothing of theirs', async () => {
  const written: Sighting[] = [];
  const due: (() => void)[] = [];
  const lastSeen = createLastSeenByShard({
    shardOf: (slot) => slot,
    shards: () => 2,
    write: async (sightings) => {
      if (sightings.some(({slot}) => slot === 1)) return new Promise(() => undefined);
      written.push(...sightings);
      return [];
    },
    intervalMs: 1000,
    after: (_ms, callback) => {
      due.push(callback);
      return () => undefined;
    },
    onFault: () => undefined,
  });
  const round = async (): Promise<void> => {
    for (const callback of due.splice(0)) callback();
    await new Promise(setImmediate);
  };
  lastSeen.note({deviceKey: 0, slot: 1, seenAtMs: 10});
  await round();
  // Its first round never ends, and whatever else comes has to wait.
  for (let deviceKey = 1; deviceKey <= 60_000; deviceKey++) lastSeen.note({deviceKey, slot: 1, seenAtMs: 10});
  const other = {deviceKey: 60_001, slot: 0, seenAtMs: 10};
  lastSeen.note(other);
  await round();
  expect(written).toEqual([other]);
});

test('a sighting whose shard nobody knows is dropped', () => {
  const faults: unknown[] = [];
  const reason = new Error('not known yet');
  const lastSeen = createLastSeenByShard({
    shardOf: () => {
      throw reason;
    },
    ...{shards: () => 2, write: () => Promise.resolve([]), intervalMs: 1000, after: () => () => undefined},
    onFault: (error) => faults.push(error),
  });
  lastSeen.note(seen(1, 10));
  expect(faults).toEqual([reason]);
});

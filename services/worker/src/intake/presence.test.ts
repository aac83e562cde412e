import {expect, test} from '@jest/globals';
import {createPresence, type PresenceChange} from './presence.ts';

const bench = () => {
  const clock = {ms: 10_000};
  const changes: PresenceChange[] = [];
  const presence = createPresence({
    patienceMs: 1000,
    forgetAfterMs: 30_000,
    now: () => clock.ms,
    onChange: (change) => changes.push(change),
  });
  /** An attempt that began now and fails after so long. */
  const failAfter = (ms: number): void => {
    const beganAtMs = clock.ms;
    clock.ms += ms;
    presence.failed(beganAtMs, 'connection refused');
  };
  return {clock, changes, presence, failAfter};
};

test('a shard that refuses for less than the patience is waited for', () => {
  const {presence, changes, failAfter} = bench();
  for (let i = 0; i < 9; i++) failAfter(100);
  expect(presence.isAway()).toBe(false);
  presence.answered();
  for (let i = 0; i < 9; i++) failAfter(100);
  expect(presence.isAway()).toBe(false);
  expect(changes).toEqual(['doubtful', 'doubtful']);
});

test('a shard that refuses for longer is away until it answers, and each change is told once', () => {
  const {presence, changes, failAfter} = bench();
  for (let i = 0; i < 30; i++) failAfter(100);
  expect(presence.isAway()).toBe(true);
  presence.answered();
  presence.answered();
  expect(presence.isAway()).toBe(false);
  expect(changes).toEqual(['doubtful', 'away', 'back']);
});

test('one attempt that hung for longer than the patience is enough', () => {
  const {presence, failAfter} = bench();
  failAfter(2000);
  expect(presence.isAway()).toBe(true);
});

test('one connection that hung while others were answered is not', () => {
  const {presence, clock} = bench();
  const beganAtMs = clock.ms;
  clock.ms += 1900;
  presence.answered();
  clock.ms += 100;
  presence.failed(beganAtMs, 'no answer');
  expect(presence.isAway()).toBe(false);
});

test('when nothing was tried for long, something may be', () => {
  const {presence, clock, changes, failAfter} = bench();
  failAfter(2000);
  clock.ms += 29_999;
  expect(presence.isAway()).toBe(true);
  clock.ms += 1;
  expect(presence.isAway()).toBe(false);
  expect(changes).toEqual(['doubtful', 'away', 'back']);
});

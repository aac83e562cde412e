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
  const answerAfter = (ms: number): void => {
    const beganAtMs = clock.ms;
    clock.ms += ms;
    presence.answered(beganAtMs);
  };
  return {clock, changes, presence, failAfter, answerAfter};
};

test('a shard that refuses for less than the patience is waited for', () => {
  const {presence, changes, failAfter, answerAfter} = bench();
  for (let i = 0; i < 9; i++) failAfter(100);
  expect(presence.isAway()).toBe(false);
  answerAfter(10);
  for (let i = 0; i < 9; i++) failAfter(100);
  expect(presence.isAway()).toBe(false);
  expect(changes).toEqual(['doubtful', 'doubtful']);
});

test('a shard that refuses for longer is away until it answers, and each change is told once', () => {
  const {presence, changes, failAfter, answerAfter} = bench();
  for (let i = 0; i < 30; i++) failAfter(100);
  expect(presence.isAway()).toBe(true);
  answerAfter(10);
  answerAfter(10);
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
  presence.answered(clock.ms - 10);
  clock.ms += 100;
  presence.failed(beganAtMs, 'no answer');
  expect(presence.isAway()).toBe(false);
});

test('a shard that answers late stays away until it answers soon', () => {
  const {presence, changes, failAfter, answerAfter} = bench();
  answerAfter(1900);
  expect(presence.isAway()).toBe(false);
  failAfter(2000);
  for (let i = 0; i < 20; i++) answerAfter(3000);
  expect(presence.isAway()).toBe(true);
  answerAfter(900);
  expect(presence.isAway()).toBe(false);
  expect(changes).toEqual(['doubtful', 'away', 'back']);
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

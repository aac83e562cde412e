import {expect, test} from '@jest/globals';
import {type Breaker, type BreakerUse, createBreaker} from './breaker.ts';

/** A use that the breaker has to let through. */
const use = (breaker: Breaker): BreakerUse => {
  const begun = breaker.begin();
  if (begun === undefined) throw new Error('the breaker is open');
  return begun;
};

const isOpen = (breaker: Breaker): boolean => breaker.begin() === undefined;

test('a breaker opens after failures in a row, lets one through after the pause, and closes on its success', () => {
  let time = 0;
  const breaker = createBreaker({threshold: 2, pauseMs: 100, now: () => time});
  use(breaker).failed();
  expect(isOpen(breaker)).toBe(false);
  use(breaker).failed();
  expect(isOpen(breaker)).toBe(true);
  time = 100;
  const trial = use(breaker);
  expect(isOpen(breaker)).toBe(true);
  trial.failed();
  time = 199;
  expect(isOpen(breaker)).toBe(true);
  time = 200;
  use(breaker).succeeded();
  expect([isOpen(breaker), isOpen(breaker)]).toEqual([false, false]);
});

test('uses that were under way together fail once', () => {
  const breaker = createBreaker({threshold: 2, pauseMs: 100, now: () => 0});
  const together = Array.from({length: 50}, () => use(breaker));
  for (const each of together) each.failed();
  expect(isOpen(breaker)).toBe(false);
  use(breaker).failed();
  expect(isOpen(breaker)).toBe(true);
});

test('a failure that began before the last success says nothing', () => {
  const breaker = createBreaker({threshold: 1, pauseMs: 100, now: () => 0});
  const slow = use(breaker);
  use(breaker).succeeded();
  slow.failed();
  expect(isOpen(breaker)).toBe(false);
});

test('a failure from before it opened does not keep it open for longer', () => {
  let time = 0;
  const breaker = createBreaker({threshold: 1, pauseMs: 100, now: () => time});
  const slow = use(breaker);
  use(breaker).failed();
  time = 90;
  slow.failed();
  time = 100;
  expect(isOpen(breaker)).toBe(false);
});

import {expect, test} from '@jest/globals';
import type {Cache} from '@pisync/core/cache/cache';
import {createCredentialNews} from './credential-news.ts';

/** A Redis that may be away, and a clock. */
const setUp = () => {
  const state = {isAway: false, nowMs: 0, told: 0};
  const later: (() => void)[] = [];
  const use: Cache['use'] = (work) => {
    if (state.isAway) return Promise.resolve(undefined);
    state.told++;
    // Of the connection nothing is used but what it answers.
    return work({set: () => Promise.resolve('OK'), publish: () => Promise.resolve(0)} as never);
  };
  const news = createCredentialNews({
    cache: {use},
    timers: {
      now: () => state.nowMs,
      after(_ms, callback) {
        later.push(callback);
        return () => undefined;
      },
    },
  });
  /** Until nothing is ready any more. */
  const pass = async (ms: number): Promise<void> => {
    state.nowMs += ms;
    for (const callback of later.splice(0)) callback();
    await new Promise(setImmediate);
  };
  return {state, news, later, pass};
};

test('what Redis could not be told it is told once it is there', async () => {
  const {state, news, later, pass} = setUp();
  await news.tell('a');
  expect([state.told, later.length]).toEqual([1, 0]);
  state.isAway = true;
  for (const deviceId of ['b', 'c', 'b']) await news.tell(deviceId);
  for (let second = 0; second < 5; second++) {
    await pass(1_000);
    expect([state.told, later.length]).toEqual([1, 1]);
  }
  state.isAway = false;
  await pass(1_000);
  expect([state.told, later.length]).toEqual([3, 0]);
});

test('it is not told what nobody believes any more', async () => {
  const {state, news, later, pass} = setUp();
  state.isAway = true;
  await news.tell('a');
  await pass(900_000);
  expect([state.told, later.length]).toEqual([0, 0]);
});

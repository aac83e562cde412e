import {expect, test} from '@jest/globals';
import {AppError} from '@pisync/core/errors/app-error';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createOptionalRead} from './optional-reads.ts';

/** Even slots on shard 0, odd ones on shard 1, and a clock that is moved by hand. */
const setUp = () => {
  const time = {skewMs: 0};
  const load = {waiting: 0, answered: 0};
  const read = createOptionalRead({
    shardOf: (slot) => slot % 2,
    loadOf: () => ({...load}),
    timers: {...systemTimers, now: () => performance.now() + time.skewMs},
  });
  const refused = Object.assign(new Error('connect ECONNREFUSED'), {code: 'ECONNREFUSED'});
  let asked = 0;
  const ask = (slot: number, answer: () => Promise<string>) =>
    read(slot, () => {
      asked += 1;
      return answer();
    }).catch((error: unknown) => (error instanceof AppError ? error.code : String(error)));
  return {time, load, ask, asked: () => asked, yes: () => Promise.resolve('yes'), no: () => Promise.reject(refused)};
};

test('a shard that does not answer is left alone for a moment, and the other is asked', async () => {
  const {time, ask, asked, yes, no} = setUp();
  for (let attempt = 1; attempt <= 2; attempt++) expect(await ask(1, no)).toBe('shard-unavailable');
  expect(await ask(1, yes)).toBe('shard-unavailable');
  expect(asked()).toBe(2);
  expect(await ask(2, yes)).toBe('yes');
  time.skewMs += 1_001;
  expect([await ask(1, no), await ask(1, yes)]).toEqual(['shard-unavailable', 'shard-unavailable']);
  expect(asked()).toBe(4);
  time.skewMs += 1_001;
  expect([await ask(1, yes), await ask(1, yes)]).toEqual(['yes', 'yes']);
});

test('a shard that takes too long is waited for no longer than a second', async () => {
  const {ask} = setUp();
  const began = performance.now();
  expect(await ask(1, () => new Promise(() => undefined))).toBe('shard-unavailable');
  expect(performance.now() - began).toBeGreaterThan(990);
});

test('connections that are lost at the same moment do not keep the shard from being asked', async () => {
  const {ask, yes, no} = setUp();
  const lost = await Promise.all(Array.from({length: 8}, () => ask(1, no)));
  expect(lost).toEqual(Array.from({length: 8}, () => 'shard-unavailable'));
  expect(await ask(1, yes)).toBe('yes');
});

test('what is wrong with the question says nothing about the shard', async () => {
  const {ask, yes} = setUp();
  for (let attempt = 1; attempt <= 5; attempt++) {
    expect(await ask(1, () => Promise.reject(new Error('no such column')))).toBe('Error: no such column');
  }
  expect(await ask(1, yes)).toBe('yes');
});

test('a shard that answers others while no connection comes free is there, also to who is turned away unasked', async () => {
  const {load, ask, yes} = setUp();
  load.waiting = 1;
  const late = (answered: number) =>
    ask(1, () => {
      load.answered += answered;
      return Promise.reject(new Error('timeout exceeded when trying to connect'));
    });
  expect(await late(0)).toBe('shard-unavailable');
  expect(await late(3)).toBe('overloaded');
  expect(await ask(1, yes)).toBe('overloaded');
});

test('a row that cannot be read, or that somebody holds, keeps no other from being asked', async () => {
  const {ask, yes} = setUp();
  for (const code of ['XX001', '55P03', '40P01']) {
    for (let attempt = 1; attempt <= 2; attempt++) {
      expect(await ask(1, () => Promise.reject(Object.assign(new Error('x'), {code})))).toBe('shard-unavailable');
    }
  }
  expect(await ask(1, yes)).toBe('yes');
});

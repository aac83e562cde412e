import {expect, test} from '@jest/globals';
import {createAdmission} from './admission.ts';

const BROKER = {broker: true};
const SMALL = {headers: {'content-length': '1000'}};

const create = (maxOpenBatches = 2) => {
  const state: {trouble: string | undefined; lagMs: number} = {trouble: undefined, lagMs: 0};
  const limits = {maxOpenBatches, maxLagMs: 1000};
  return {
    state,
    admission: createAdmission({brokerTrouble: () => state.trouble, lagMs: () => state.lagMs, limits}),
  };
};

test('counts a call from its admission to its answer', () => {
  const {admission} = create();
  const leave = admission.enter(SMALL, BROKER);
  admission.enter(SMALL, {broker: false});
  expect(() => admission.enter(SMALL, BROKER)).toThrow(expect.objectContaining({code: 'overloaded'}));
  leave();
  expect(() => admission.enter(SMALL, BROKER)).not.toThrow();
});

test.each([
  ['by their length', {'content-length': String(512 * 1024)}, 128],
  ['by what they inflate to', {'content-length': String(64 * 1024), 'content-encoding': 'gzip'}, 128],
  ['by as much as may come, when they do not say', {}, 128],
])('bounds the bodies that are under way %s', (_how, headers, most) => {
  const {admission} = create(10_000);
  let taken = 0;
  expect(() => {
    for (; taken < 10_000; taken++) admission.enter({headers}, BROKER);
  }).toThrow(expect.objectContaining({code: 'overloaded', retryAfterSeconds: 5}));
  expect(taken).toBe(most);
});

test('a broker that takes nothing and a loop that lags turn calls away, the broker only those that need it', () => {
  const {admission, state} = create(100);
  state.trouble = 'blocked';
  expect(() => admission.enter(SMALL, BROKER)).toThrow(expect.objectContaining({code: 'broker-unavailable'}));
  expect(() => admission.enter(SMALL, {broker: false})).not.toThrow();
  state.trouble = undefined;
  state.lagMs = 1001;
  expect(() => admission.enter(SMALL, BROKER)).toThrow(expect.objectContaining({code: 'overloaded'}));
});

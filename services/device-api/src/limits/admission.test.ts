import {expect, test} from '@jest/globals';
import {Registry} from 'prom-client';
import {createAdmission} from './admission.ts';

const BROKER = {broker: true};
const SMALL = {headers: {'content-length': '1000'}};

const create = (maxOpenBatches = 2) => {
  const state: {trouble: string | undefined; lagMs: number} = {trouble: undefined, lagMs: 0};
  const limits = {maxOpenBatches, maxOpenBytes: 64 * 1024 * 1024, maxLagMs: 1000};
  const registry = new Registry();
  return {
    state,
    registry,
    admission: createAdmission({brokerTrouble: () => state.trouble, lagMs: () => state.lagMs, limits, registry}),
  };
};

test('counts a call from its admission to its answer', () => {
  const {admission} = create();
  const call = admission.enter(SMALL, BROKER);
  admission.enter(SMALL, {broker: false});
  expect(() => admission.enter(SMALL, BROKER)).toThrow(expect.objectContaining({code: 'overloaded'}));
  call.leave();
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

test('counts a body as what it inflated to once that is known, and turns it away when it does not fit', async () => {
  const {admission, registry} = create(10_000);
  const gzip = {headers: {'content-length': '1000', 'content-encoding': 'gzip'}};
  const openBytes = async () =>
    (await registry.getSingleMetric('pisync_device_api_open_bytes')?.get())?.values[0]?.value;
  const calls = Array.from({length: 65}, () => admission.enter(gzip, BROKER));
  expect(await openBytes()).toBe(65 * 8000);
  const last = calls.pop();
  for (const call of calls) call.holds(1_000_000);
  expect(await openBytes()).toBe(64_008_000);
  expect(() => last?.holds(4_000_000)).toThrow(expect.objectContaining({code: 'overloaded', retryAfterSeconds: 5}));
  calls[0]?.holds(10);
  last?.holds(1_000_000);
  for (const call of calls) call.leave();
  last?.leave();
  expect(await openBytes()).toBe(0);
});

test('takes a single call of any size', () => {
  const {admission} = create();
  expect(() => admission.enter(SMALL, BROKER).holds(100 * 1024 * 1024)).not.toThrow();
});

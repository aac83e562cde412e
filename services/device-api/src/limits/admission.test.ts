import {expect, jest, test} from '@jest/globals';
import {Registry} from 'prom-client';
import {createAdmission} from './admission.ts';

const MIB = 1024 * 1024;
const DEVICE = {broker: true, stranger: false};
const STRANGER = {broker: false, stranger: true};
const OVERLOADED: unknown = expect.objectContaining({code: 'overloaded', retryAfterSeconds: 5});

const create = (maxOpenBatches = 2) => {
  const state: {trouble: string | undefined; lagMs: number} = {trouble: undefined, lagMs: 0};
  const limits = {maxOpenBatches, maxOpenBytes: 64 * MIB, maxLagMs: 1000};
  const registry = new Registry();
  return {
    state,
    registry,
    admission: createAdmission({brokerTrouble: () => state.trouble, lagMs: () => state.lagMs, limits, registry}),
  };
};

test('counts a call from when its body has come to its answer', () => {
  const {admission} = create();
  const waiting = Array.from({length: 100}, () => admission.enter(STRANGER));
  const [call, another, late] = [admission.enter(DEVICE), admission.enter(DEVICE), admission.enter(DEVICE)];
  call.arrived();
  another.arrived();
  expect(() => late.arrived()).toThrow(OVERLOADED);
  late.leave();
  for (const one of waiting) one.leave();
  expect(() => admission.enter(DEVICE)).toThrow(OVERLOADED);
  call.leave();
  expect(() => admission.enter(DEVICE).arrived()).not.toThrow();
});

test('strangers who wait for an answer leave most places to devices', () => {
  const {admission} = create(100);
  const waiting = Array.from({length: 25}, () => admission.enter(STRANGER));
  const late = admission.enter(STRANGER);
  for (const call of waiting) call.arrived();
  expect(() => late.arrived()).toThrow(OVERLOADED);
  expect(() => admission.enter(STRANGER)).toThrow(OVERLOADED);
  for (let device = 0; device < 75; device++) admission.enter(DEVICE).arrived();
  for (const call of waiting) call.leave();
  expect(() => admission.enter(STRANGER).arrived()).not.toThrow();
});

test('what strangers send takes no room from devices', () => {
  const {admission} = create();
  const full = Array.from({length: 8}, () => admission.enter(STRANGER));
  const late = admission.enter(STRANGER);
  for (const call of full) call.holds(MIB);
  expect(() => late.holds(1)).toThrow(OVERLOADED);
  expect(() => admission.enter(STRANGER)).toThrow(OVERLOADED);
  const device = admission.enter(DEVICE);
  admission.enter(DEVICE).holds(1);
  expect(() => device.holds(55 * MIB)).not.toThrow();
  for (const call of full) call.leave();
  expect(() => admission.enter(STRANGER).holds(MIB)).not.toThrow();
});

test('a broker that takes nothing and a loop that lags turn calls away, the broker only those that need it', () => {
  const {admission, state} = create(100);
  state.trouble = 'blocked';
  expect(() => admission.enter(DEVICE)).toThrow(expect.objectContaining({code: 'broker-unavailable'}));
  expect(() => admission.enter(STRANGER)).not.toThrow();
  state.trouble = undefined;
  state.lagMs = 1001;
  expect(() => admission.enter(DEVICE)).toThrow(OVERLOADED);
});

test('counts a body as what it takes at the moment, and turns it away when that does not fit', async () => {
  const {admission, registry} = create(10_000);
  const openBytes = async () =>
    (await registry.getSingleMetric('pisync_device_api_open_bytes')?.get())?.values[0]?.value;
  const calls = Array.from({length: 56}, () => admission.enter(DEVICE));
  const late = admission.enter(DEVICE);
  expect(await openBytes()).toBe(0);
  for (const call of calls) call.holds(1000);
  expect(await openBytes()).toBe(56_000);
  for (const call of calls) call.holds(MIB);
  expect(() => late.holds(1)).toThrow(OVERLOADED);
  calls[0]?.holds(10);
  late.holds(MIB - 10);
  expect(await openBytes()).toBe(56 * MIB);
  for (const call of calls) call.leave();
  late.leave();
  expect(await openBytes()).toBe(0);
});

test('takes a single call of any size', () => {
  const {admission} = create();
  expect(() => admission.enter(DEVICE).holds(100 * MIB)).not.toThrow();
});

test("a device's body that takes long keeps its room, and makes room where there is none", () => {
  jest.useFakeTimers();
  try {
    const {admission} = create();
    const refused: unknown[] = [];
    const slow = admission.enter(DEVICE);
    slow.arrives((reason) => refused.push(reason));
    slow.holds(56 * MIB);
    jest.advanceTimersByTime(9_000);
    expect(() => admission.enter(DEVICE)).toThrow(OVERLOADED);
    jest.advanceTimersByTime(2_000);
    expect(refused).toEqual([]);
    expect(() => admission.enter(DEVICE).holds(MIB)).not.toThrow();
    expect(refused).toEqual([OVERLOADED]);
  } finally {
    jest.useRealTimers();
  }
});

import {expect, test} from '@jest/globals';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createWindows} from './windows.ts';

interface Seen {
  readonly items: readonly string[];
  readonly finish: () => void;
}

const bench = (concurrency = 1, maxWaitMs = 60_000) => {
  const seen: Seen[] = [];
  const windows = createWindows<string>({
    weightOf: (item) => item.length,
    maxWeight: 4,
    maxWaitMs,
    concurrency,
    after: systemTimers.after,
    process: (items) => new Promise((finish) => seen.push({items, finish})),
  });
  return {windows, seen, items: () => seen.map((one) => one.items)};
};

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a window leaves when it is full', () => {
  const {windows, items} = bench();
  windows.add('aa', false);
  expect(items()).toEqual([]);
  windows.add('bb', false);
  expect(items()).toEqual([['aa', 'bb']]);
});

test('a window leaves when its first item has waited long enough', async () => {
  const {windows, seen} = bench(1, 5);
  const began = performance.now();
  windows.add('a', false);
  while (seen.length === 0 && performance.now() - began < 2000) await settled();
  expect(seen.map(({items}) => items)).toEqual([['a']]);
  expect(performance.now() - began).toBeGreaterThanOrEqual(4);
});

test('what is urgent goes before what is not', async () => {
  const {windows, seen, items} = bench();
  windows.add('1111', false);
  windows.add('nn', false);
  windows.add('uu', true);
  windows.add('vv', true);
  seen[0]?.finish();
  await settled();
  expect(items()).toEqual([['1111'], ['uu', 'vv']]);
});

test('no more windows are at work than allowed, and the next is collected meanwhile', async () => {
  const {windows, seen, items} = bench(2);
  for (const item of ['1111', '2222', '3333']) windows.add(item, false);
  expect(items()).toEqual([['1111'], ['2222']]);
  seen[1]?.finish();
  await settled();
  expect(items()).toEqual([['1111'], ['2222'], ['3333']]);
});

test('an item heavier than a window has a window of its own', () => {
  const {windows, items} = bench();
  windows.add('a much heavier item', false);
  expect(items()).toEqual([['a much heavier item']]);
});

test('draining hands out what is left and waits for all of it', async () => {
  const {windows, seen, items} = bench();
  windows.add('a', false);
  let drained = false;
  const draining = windows.drain().then(() => {
    drained = true;
  });
  expect(items()).toEqual([['a']]);
  await settled();
  expect(drained).toBe(false);
  seen[0]?.finish();
  await draining;
  await bench().windows.drain();
});

import {beforeEach, describe, expect, test} from '@jest/globals';
import {type KubeMetrics} from './metrics.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {testMetrics} from './testing/fixtures.ts';
import {WorkQueue} from './work-queue.ts';

let clock: FakeClock;
let queue: WorkQueue;
let metrics: KubeMetrics;
let idle: Promise<string | undefined> | undefined;

beforeEach(() => {
  clock = new FakeClock();
  idle = undefined;
  metrics = testMetrics();
  queue = new WorkQueue('shop', clock, metrics);
});

/** A worker that is quick: takes what there is and stays at the queue. */
const takeAll = async (): Promise<string[]> => {
  const taken: string[] = [];
  for (;;) {
    idle ??= queue.take();
    const key = await Promise.race([idle, clock.advance(0).then(() => 'none')]);
    if (key === undefined || key === 'none') return taken;
    idle = undefined;
    taken.push(key);
    queue.done(key);
  }
};

describe('a work queue', () => {
  test('holds a key once, however often it is added', async () => {
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key, 'normal');
    expect(await takeAll()).toEqual(['a', 'b']);
  });

  test('hands out the urgent first, equals in order of arrival, and upgrades but never downgrades', async () => {
    queue.add('resync', 'low');
    queue.add('child', 'normal');
    queue.add('edited', 'high');
    queue.add('also-edited', 'low');
    queue.add('also-edited', 'high');
    queue.add('edited', 'low');
    expect(await takeAll()).toEqual(['edited', 'also-edited', 'child', 'resync']);
  });

  test('serves a key that waits in bounded time, however many urgent ones keep coming', async () => {
    const served: (string | undefined)[] = [];
    queue.add('resync', 'low');
    queue.add('child', 'normal');
    for (let turn = 0; turn < 100; turn++) {
      for (const edited of ['a', 'b', 'c']) queue.add(edited, 'high');
      const key = await queue.take();
      served.push(key);
      await clock.advance(100);
      if (key !== undefined) queue.done(key);
    }
    // 5 s are 50 turns; then every other one is for who has waited longest.
    expect(served.slice(0, 50)).not.toContain('child');
    expect(served.slice(50, 60)).toEqual(expect.arrayContaining(['child', 'resync']));
  });

  test('an urgent key waits for one other at most, behind a long queue', async () => {
    for (let index = 0; index < 500; index++) queue.add(`region-${index}`, 'low');
    await clock.advance(60_000);
    queue.add('edited', 'high');
    const served: (string | undefined)[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const key = await queue.take();
      served.push(key);
      if (key !== undefined) queue.done(key);
    }
    expect(served).toContain('edited');
  });

  test('never hands out a key that a worker has; added meanwhile, it comes again once after done', async () => {
    queue.add('a', 'normal');
    expect(await queue.take()).toBe('a');
    queue.add('a', 'normal');
    queue.add('a', 'high');
    const second = queue.take();
    expect(await Promise.race([second, clock.advance(1000).then(() => 'waiting')])).toBe('waiting');
    queue.done('a');
    expect(await second).toBe('a');
    queue.done('a');
    expect(await takeAll()).toEqual([]);
  });

  test('delays double from 5 ms to about 16 minutes, and begin anew after forget', () => {
    const delays = Array.from({length: 20}, () => queue.addWithBackoff('a', 'normal'));
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(16 * 60_000);
    queue.forget('a');
    expect(queue.addWithBackoff('a', 'normal')).toBe(5);
    expect(queue.addWithBackoff('b', 'normal', 7_000)).toBe(7_000);
  });

  test('of several delays the earliest counts, and taking the key cancels the rest', async () => {
    queue.addAfter('a', 10_000, 'low');
    queue.addAfter('a', 1_000, 'low');
    queue.addAfter('a', 5_000, 'low');
    await clock.advance(999);
    expect(await takeAll()).toEqual([]);
    await clock.advance(1);
    expect(await takeAll()).toEqual(['a']);
    queue.addAfter('a', 1_000, 'low');
    queue.add('a', 'normal');
    expect(await takeAll()).toEqual(['a']);
    await clock.advance(20_000);
    expect(await takeAll()).toEqual([]);
  });

  test('knows how long the oldest pass has been running, also in its metrics', async () => {
    queue.add('a', 'normal');
    await queue.take();
    await clock.advance(3_000);
    queue.add('b', 'normal');
    await queue.take();
    await clock.advance(1_000);
    expect(queue.longestRunningMs()).toBe(4_000);
    queue.sample();
    expect((await metrics.longestRunningSeconds.get()).values).toMatchObject([{value: 4}]);
  });

  test('closing wakes idle workers, drops what waits and resolves when the last one is done', async () => {
    queue.add('a', 'normal');
    await queue.take();
    queue.add('b', 'normal');
    queue.addAfter('c', 10, 'normal');
    let isClosed = false;
    const closed = queue.close().then(() => (isClosed = true));
    expect(await queue.take()).toBeUndefined();
    await clock.advance(1_000);
    expect(isClosed).toBe(false);
    queue.done('a');
    await closed;
    queue.add('d', 'high');
    expect(await queue.take()).toBeUndefined();
  });
});

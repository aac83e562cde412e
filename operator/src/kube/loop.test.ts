import {beforeEach, describe, expect, test} from '@jest/globals';
import {ApiError, NotLeader, Wait} from './errors.ts';
import {pause} from './clock.ts';
import {type Controller, type Surplus} from './controller.ts';
import {runLoop} from './loop.ts';
import {type KubeObject} from './object.ts';
import {runPass, type PassCluster, type PassResult} from './pass.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {forever, liveObject, testLog, testMetrics} from './testing/fixtures.ts';
import {WorkQueue} from './work-queue.ts';

const CONFIG_MAP = {apiVersion: 'v1', kind: 'ConfigMap'};

let clock: FakeClock;
let queue: WorkQueue;
let startedMs: number[];
/** Whether each pass was to say that it waits again. */
let overdue: boolean[];
let log: ReturnType<typeof testLog>;

beforeEach(() => {
  clock = new FakeClock();
  queue = new WorkQueue('shop', clock, testMetrics());
  startedMs = [];
  overdue = [];
  log = testLog();
});

/** Runs one key through `answers`, one a pass (the last for ever), for `forMs`; answers when the passes began. */
const passTimes = async (answers: readonly (PassResult | Error)[], forMs: number): Promise<readonly number[]> => {
  const stop = new AbortController();
  const ended = runLoop(
    {
      name: 'shop',
      queue,
      workers: 2,
      clock,
      random: () => 0.5,
      metrics: testMetrics(),
      log,
      pass: (_key, _deadline, _signal, isOverdue) => {
        overdue.push(isOverdue);
        const answer = answers[Math.min(startedMs.length, answers.length - 1)];
        startedMs.push(clock.monotonicMs());
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    stop.signal,
  );
  queue.add('a', 'normal');
  await clock.advance(forMs);
  stop.abort();
  await ended;
  return startedMs;
};

const result = (kind: PassResult['kind'], more: Partial<PassResult> = {}): PassResult => ({
  kind,
  next: {kind: 'on-change'},
  retryAfterMs: 0,
  problems: [],
  ...more,
});

describe('after a pass', () => {
  test('that was quiet, nothing happens until the resync', async () => {
    expect(await passTimes([result('quiet')], 1_300_000)).toEqual([0, 600_000, 1_200_000]);
  });

  test('that wants to be called again, it is', async () => {
    const next = {kind: 'after', delayMs: 5_000} as const;
    expect(await passTimes([result('quiet', {next})], 11_000)).toEqual([0, 5_000, 10_000]);
  });

  test('that changed something, the next follows at once, and more slowly while it goes on', async () => {
    expect(await passTimes([result('changed')], 100)).toEqual([0, 5, 15, 35, 75]);
    startedMs = [];
  });

  test('that was refused, it is tried again every now and then', async () => {
    expect(await passTimes([result('refused')], 45_000)).toEqual([0, 20_000, 40_000]);
  });

  test('that was refused, that is logged once while it lasts, and again when it comes back', async () => {
    const [quota, policy] = [['over quota'], ['policy']].map((problems) => result('refused', {problems}));
    if (quota === undefined || policy === undefined) throw new Error('two results were made');
    const quiet = result('quiet', {next: {kind: 'after', delayMs: 1_000}});
    await passTimes([quota, quota, quota, policy, policy, quiet, policy], 130_000);
    expect(log.lines).toEqual([
      'refused {"key":"a","problems":["over quota"]}',
      'refused {"key":"a","problems":["policy"]}',
      'refused {"key":"a","problems":["policy"]}',
    ]);
  });

  test('that found something other than it was sent, that is logged once', async () => {
    const next = {kind: 'after', delayMs: 1_000} as const;
    const [rewritten, quiet] = [['webhook'], []].map((problems) => result('quiet', {next, problems}));
    if (rewritten === undefined || quiet === undefined) throw new Error('two results were made');
    await passTimes([rewritten, rewritten, quiet, rewritten], 10_000);
    const line = 'not as it was sent {"key":"a","problems":["webhook"]}';
    expect(log.lines).toEqual([line, line]);
  });

  test('that met any number of problems, the first are logged and how many there are', async () => {
    const problems = Array.from({length: 500}, (_, index) => `p${index}`);
    await passTimes([result('failed', {problems}), result('refused', {problems}), result('quiet')], 20_000);
    const told = '"problems":["p0","p1","p2","p3","p4","p5","p6","p7","p8","p9"],"more":490}';
    expect(log.lines).toEqual([`pass incomplete {"key":"a",${told}`, `refused {"key":"a",${told}`]);
  });

  test('that failed, it is tried again with backoff, and not before the server allows it', async () => {
    const busy = result('failed', {retryAfterMs: 3_000});
    expect(await passTimes([busy, busy, result('quiet')], 10_000)).toEqual([0, 3_000, 6_000]);
  });

  test('that failed, a server is not heeded for longer than a minute, nor beyond the time that was wished for', async () => {
    const away = result('failed', {retryAfterMs: 86_400_000});
    expect(await passTimes([away, result('quiet')], 100_000)).toEqual([0, 60_000]);
  });

  test('that failed, the next comes no later than it was wished for', async () => {
    const next = {kind: 'after', delayMs: 20_000} as const;
    expect(await passTimes([result('failed', {retryAfterMs: 86_400_000, next}), result('quiet')], 30_000)).toEqual([
      0, 20_000,
    ]);
  });

  test('that failed for long, it is tried again with every resync', async () => {
    const times = await passTimes([new TypeError('bug')], 7_200_000);
    expect(Math.max(...times.map((time, index) => time - (times[index - 1] ?? 0)))).toBe(600_000);
  });

  test('that could not write because the lease was renewed late, it is tried again as soon as that is done', async () => {
    expect(await passTimes([new NotLeader('late'), new NotLeader('late'), result('quiet')], 10_000)).toEqual([
      0, 1_000, 2_000,
    ]);
    expect(log.lines).toEqual([]);
  });

  test('that had to wait, it is tried again ever more slowly, and from the fifth in a row on that is to be said', async () => {
    const wait = new Wait('it changed', 200);
    const times = await passTimes([wait], 60_000);
    expect(times.slice(0, 6)).toEqual([0, 200, 600, 1_400, 3_000, 6_200]);
    expect(times.slice(-2)).toEqual([25_400, 45_400]);
    expect(overdue).toEqual(times.map((_time, index) => index >= 4));
    expect(log.lines).toEqual(['waits again and again {"key":"a","problems":["it changed"]}']);
  });

  test('that had to wait, any other end begins that anew', async () => {
    const wait = new Wait('it changed', 200);
    const next = {kind: 'after', delayMs: 1_000} as const;
    await passTimes([wait, wait, wait, wait, result('quiet', {next}), wait, wait, result('quiet')], 30_000);
    expect(overdue).toEqual([false, false, false, false, true, false, false, false]);
    expect(log.lines).toEqual([]);
  });

  test.each<[string, Error, readonly number[]]>([
    ['a bug', new TypeError('bug'), [0, 5, 15, 35, 75]],
    ['an overloaded server', new ApiError('busy', {status: 429, retryAfterMs: 60}), [0, 60]],
    ['a wait', new Wait('not yet', 20), [0, 20, 60]],
  ])('that threw %s, the schedule is that of its kind', async (_, error, expected) => {
    expect(await passTimes([error], 100)).toEqual(expected);
  });
});

test('whoever has left any number of objects is rid of them, and keeps nobody else waiting meanwhile', async () => {
  const litter = new Set(Array.from({length: 2_000}, (_, index) => `litter-${index}`));
  const cluster: PassCluster = {
    read: () => Promise.resolve(undefined),
    listOwned: () => Promise.resolve([]),
    listAll: () => Promise.resolve([]),
    unseen: () => [],
    followedMs: () => 0,
    serves: () => Promise.resolve(true),
    apply: () => Promise.resolve({kind: 'unchanged', repaired: false}),
    // Nobody is told of it, so the loop has to come again by itself.
    delete: async ({name}) => {
      await pause(clock, 30, forever);
      return litter.delete(name) ? 'deleted' : 'gone';
    },
    applyStatus: () => Promise.resolve('unchanged'),
    setFinalizer: (object) => Promise.resolve(object),
  };
  const surplusOf = (key: string): readonly Surplus[] =>
    key === 'neat' ? [] : [...litter].map((name) => ({ref: {...CONFIG_MAP, namespace: 'default', name, uid: name}}));
  const passMs = new Map<string, number>();
  const stop = new AbortController();
  const ended = runLoop(
    {
      name: 'shop',
      queue,
      workers: 1,
      clock,
      random: () => 0.5,
      metrics: testMetrics(),
      log,
      pass: async (key, deadline, signal) => {
        const controller: Controller<KubeObject, KubeObject, never> = {
          resource: CONFIG_MAP,
          watches: [],
          decode: (object) => object,
          observe: (object) => Promise.resolve(object),
          plan: () => ({
            components: [],
            surplus: surplusOf(key),
            conclude: () => ({status: undefined, events: [], next: {kind: 'on-change'}}),
          }),
        };
        const events = {report: () => Promise.resolve()};
        const passed = await runPass(
          liveObject(key, '1'),
          {controller, cluster, events, clock, kept: new Map()},
          deadline,
          signal,
        );
        passMs.set(key, clock.monotonicMs());
        return passed;
      },
    },
    stop.signal,
  );
  queue.add('littered', 'normal');
  await clock.advance(200);
  queue.add('neat', 'normal');
  await clock.advance(2_000);
  expect(passMs.get('neat')).toBeLessThan(2_000);
  await clock.advance(180_000);
  expect(litter.size).toBe(0);
  stop.abort();
  await ended;
});

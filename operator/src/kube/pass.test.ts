import {beforeEach, describe, expect, test} from '@jest/globals';
import {systemClock} from './clock.ts';
import {type ComponentPlan, type Desired, type Outcome, type Surplus} from './controller.ts';
import {ApiError, ApplyRefused, NotLeader, Wait} from './errors.ts';
import {keyOf, type KubeObject} from './object.ts';
import {runPass, type PassCluster, type PassResult} from './pass.ts';
import {forever, liveObject} from './testing/fixtures.ts';

const shelf = (name: string): Desired => ({
  manifest: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name, namespace: 'default'}},
});

const component = (name: string, ...shelves: readonly string[]): ComponentPlan => ({
  name,
  desired: shelves.map(shelf),
});

/** A cluster whose applies end as `apply` says. */
const clusterOf = (apply: (name: string) => Promise<'created' | 'unchanged'>): PassCluster => ({
  read: () => Promise.resolve(undefined),
  listOwned: () => Promise.resolve([]),
  listAll: () => Promise.resolve([]),
  unseen: () => [],
  followedMs: () => 0,
  serves: () => Promise.resolve(true),
  apply: async ({manifest}) => ({kind: await apply(manifest.metadata.name), repaired: false}),
  delete: () => Promise.resolve('deleted'),
  applyStatus: () => Promise.resolve('unchanged'),
  setFinalizer: (object) => Promise.resolve(object),
});

let kept: Map<string, 'failed' | 'refused'>;

beforeEach(() => {
  kept = new Map();
});

const pass = async (
  cluster: PassCluster,
  components: readonly ComponentPlan[],
  status?: {readonly message: string; readonly promises?: string},
  finalizer?: 'keep' | 'release',
  surplus: readonly Surplus[] = [],
  look = (): void => undefined,
  report: (notes: readonly string[]) => void = () => undefined,
  deadline: AbortSignal = forever,
): Promise<{readonly result: PassResult; readonly outcome: Outcome | undefined}> => {
  let outcome: Outcome | undefined;
  const result = await runPass(
    {...liveObject('north', '1'), status: {shelves: 3, message: 'all is well'}},
    {
      cluster,
      clock: systemClock,
      kept,
      events: {
        report: (_, drafts, _signal, isMore) => {
          const notes = drafts.map(({note}) => note);
          report(isMore === true ? ['beside that', ...notes] : notes);
          return Promise.resolve();
        },
      },
      controller: {
        resource: {apiVersion: 'v1', kind: 'ConfigMap'},
        watches: [],
        decode: (object: KubeObject) => object,
        observe: (object: KubeObject) => {
          look();
          return Promise.resolve(object);
        },
        minimalStatuses: ({message, promises}: {readonly message: string; readonly promises?: string}) =>
          promises === undefined ? [{message}] : [{message, promises}, {message}],
        finalizer: 'example.org/cleanup',
        failedStatus: (_, problem) => ({message: `the pass failed: ${problem}`}),
        plan: () => ({
          components,
          ...(finalizer === undefined ? {} : {finalizer}),
          surplus,
          conclude: (ended) => {
            outcome = ended;
            return {
              status,
              events: [{type: 'Normal', reason: 'Repaired', note: 'a'}],
              next: {kind: 'on-change'},
              leadsOn: status?.promises !== undefined,
            };
          },
        }),
      },
    },
    deadline,
    forever,
  );
  return {result, outcome};
};

describe('a pass', () => {
  test('goes on after a refusal and a failure, in the same component and in the others', async () => {
    const cluster = clusterOf((name) => {
      if (name === 'full') return Promise.reject(new ApplyRefused('refused', keyOf(shelf(name).manifest), 'quota'));
      if (name === 'slow') return Promise.reject(new ApiError('later', {status: 429, retryAfterMs: 7_000}));
      return Promise.resolve('created');
    });
    const {result, outcome} = await pass(cluster, [component('one', 'full', 'a'), component('two', 'slow', 'b')]);
    const kinds = [...(outcome ?? [])].map(([name, results]) => [name, results.map(({kind}) => kind)]);
    expect(kinds).toEqual([
      ['one', ['refused', 'created']],
      ['two', ['failed', 'created']],
    ]);
    expect(result).toMatchObject({kind: 'failed', retryAfterMs: 7_000});
    expect(result.problems).toEqual(['ConfigMap default/full: quota', 'ConfigMap default/slow: later']);
  });

  test('tells of what was not taken as it was sent, and comes again when it is to be tried again', async () => {
    const fields = ['data.a', 'data.b', 'data.c', 'data.d', 'data.e'];
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      apply: () => Promise.resolve({kind: 'unchanged', repaired: false, rewritten: {fields, againMs: 30_000}}),
    };
    const {result, outcome} = await pass(cluster, [component('one', 'a')]);
    const message =
      'ConfigMap default/a: an admission webhook or policy makes something else of it (data.a, data.b, data.c and 2 more)';
    expect(result).toMatchObject({kind: 'quiet', next: {kind: 'after', delayMs: 30_000}, problems: [message]});
    expect(outcome?.get('one')).toMatchObject([{kind: 'unchanged', rewritten: {fields, message}}]);
  });

  test('whose status is refused says the least that must be said, beside what was said last', async () => {
    const written: unknown[] = [];
    const whole = {shelves: 'many', message: 'a shelf is broken'};
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      applyStatus: (_, status) => {
        if (status === whole)
          return Promise.reject(new ApiError('422', {status: 422, said: 'shelves must be a number'}));
        written.push(status);
        return Promise.resolve('configured');
      },
    };
    const {result} = await pass(cluster, [], whole);
    expect(written).toEqual([{shelves: 3, message: 'a shelf is broken'}]);
    expect(result.kind).toBe('refused');
    expect(result.problems).toEqual(['the status was refused: ConfigMap default/north: shelves must be a number']);
  });

  test.each([
    ['with what others go by', ['shelves'], [{shelves: 3, message: 'all is well', promises: 'a'}]],
    ['without what the server does not know', ['shelves', 'promises'], [{shelves: 3, message: 'all is well'}]],
  ])('whose status is refused says the least, %s', async (_what, unknown, expected) => {
    const written: unknown[] = [];
    const whole = {shelves: 'many', message: 'all is well', promises: 'a'};
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      applyStatus: (_, status) => {
        const isKnown = status !== whole && !(unknown.includes('promises') && 'promises' in (status as object));
        if (!isKnown) return Promise.reject(new ApiError('400', {status: 400, said: 'unknown field'}));
        written.push(status);
        return Promise.resolve('unchanged');
      },
    };
    const {result} = await pass(cluster, [], whole);
    expect(written).toEqual(expected);
    // Nothing new is known by it, so nothing is gained by another pass at once.
    expect(result.kind).toBe('refused');
  });

  test.each([
    ['follows at once when that was not there before', 'configured', {kind: 'after', delayMs: 5}],
    ['does not follow at once when it was there, or the server makes something else of it', 'unchanged', undefined],
  ] as const)('that acts upon what the status says %s, whatever else fails', async (_what, written, next) => {
    const apply = (name: string) =>
      name === 'slow' ? Promise.reject(new ApiError('later', {status: 500})) : Promise.resolve('unchanged' as const);
    const cluster = {...clusterOf(apply), applyStatus: () => Promise.resolve(written)};
    for (const [name, kind] of [
      ['a', 'quiet'],
      ['slow', 'failed'],
    ] as const) {
      const {result} = await pass(cluster, [component('one', name)], {message: 'a', promises: 'b'});
      expect(result).toMatchObject({kind, next: next ?? {kind: 'on-change'}});
    }
  });

  test('whose status is refused altogether ends and is tried again slowly', async () => {
    const refused = () => Promise.reject(new ApiError('422', {status: 422, said: 'no'}));
    const cluster: PassCluster = {...clusterOf(() => Promise.resolve('unchanged')), applyStatus: refused};
    const told: (readonly string[])[] = [];
    const report = (notes: readonly string[]) => told.push(notes);
    const one = component('one', 'a');
    const {result} = await pass(cluster, [one], {message: 'no'}, undefined, [], undefined, report);
    const problem = 'the status was refused: ConfigMap default/north: no; so was the least that can be said';
    expect(result).toMatchObject({kind: 'refused', problems: [problem]});
    expect(told).toEqual([['a', problem]]);
  });

  test('whose status could not be written says so and what happened by events, if it may write at all', async () => {
    const told: (readonly string[])[] = [];
    const ends = (error: Error) =>
      pass(
        {...clusterOf(() => Promise.resolve('unchanged')), applyStatus: () => Promise.reject(error)},
        [],
        {message: 'a'},
        undefined,
        [],
        undefined,
        (notes) => told.push(notes),
      );
    await expect(ends(new Wait('changed meanwhile', 200))).rejects.toThrow('changed');
    await expect(ends(new NotLeader('late'))).rejects.toThrow('late');
    expect(told).toEqual([['beside that', 'a']]);
    await expect(ends(new ApiError('500: no such webhook', {status: 500}))).rejects.toThrow('webhook');
    const note = 'the status cannot be written: 500: no such webhook';
    expect(told.slice(1)).toEqual([
      ['beside that', 'a'],
      ['beside that', note],
    ]);
  });

  test('that throws says so, and ends with its error', async () => {
    const said: unknown[] = [];
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      applyStatus: (_, status) => {
        said.push(status);
        return Promise.resolve('configured');
      },
    };
    const thrown = (error: Error) =>
      pass(cluster, [component('one', 'a')], {message: 'a'}, undefined, [], () => {
        throw error;
      });
    await expect(thrown(new RangeError('not a quantity: x'))).rejects.toThrow('not a quantity');
    expect(said).toEqual([{message: 'the pass failed: not a quantity: x'}]);
    // Who must not write says nothing, and who waits has not failed.
    await expect(thrown(new NotLeader('late'))).rejects.toThrow('late');
    await expect(thrown(new Wait('changed meanwhile', 200))).rejects.toThrow('changed');
    expect(said).toHaveLength(1);
  });

  test('that throws and cannot say so ends with its own error', async () => {
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      applyStatus: () => Promise.reject(new ApiError('503', {status: 503})),
    };
    const bug = (): never => {
      throw new TypeError('bug');
    };
    await expect(pass(cluster, [], undefined, undefined, [], bug)).rejects.toThrow('bug');
  });

  test('releases a finalizer that nothing is left to be done for, whatever becomes of its writes and its status', async () => {
    const finalizers: unknown[] = [];
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.reject(new Error('no'))),
      applyStatus: () => Promise.reject(new ApiError('503', {status: 503})),
      setFinalizer: (object, name, isKept) => {
        finalizers.push([name, isKept]);
        return Promise.resolve(object);
      },
    };
    await expect(pass(cluster, [component('one', 'a')], {message: 'a'}, 'release')).rejects.toThrow('503');
    expect(finalizers).toEqual([['example.org/cleanup', false]]);
  });

  test('deletes what is no longer wanted when everything else has ended', async () => {
    const order: string[] = [];
    const {promise: released, resolve: release} = Promise.withResolvers<'created'>();
    const cluster: PassCluster = {
      ...clusterOf(async (name) => {
        const end = await released;
        order.push(name);
        return end;
      }),
      delete: ({name}) => {
        order.push(`${name} deleted`);
        return Promise.resolve('deleted');
      },
    };
    const surplus: Surplus[] = [
      {ref: {apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'old', uid: 'old'}},
    ];
    const ended = pass(cluster, [component('one', 'new')], undefined, undefined, surplus);
    setImmediate(release, 'created');
    const {outcome} = await ended;
    expect(order).toEqual(['new', 'old deleted']);
    expect(outcome?.get('surplus')).toMatchObject([{kind: 'deleted', key: {name: 'old'}}]);
  });

  const litter = Array.from({length: 120}, (_, index): Surplus => ({
    ref: {apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: `old-${index}`, uid: `old-${index}`},
  }));

  test.each([
    ['deletes some of any number and comes again for the rest', 'deleted', 'changed', {kind: 'after', delayMs: 1_000}],
    ['comes again for the rest also when others were faster', 'gone', 'quiet', {kind: 'after', delayMs: 1_000}],
    [
      'that may delete none comes again for those that it has not tried',
      'refused',
      'refused',
      {kind: 'after', delayMs: 1_000},
    ],
  ] as const)('%s', async (_what, end, kind, next) => {
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      delete: (key) =>
        end === 'refused' ? Promise.reject(new ApplyRefused('refused', key, 'no')) : Promise.resolve(end),
    };
    const {result, outcome} = await pass(cluster, [], undefined, undefined, litter);
    expect(outcome?.get('surplus')).toHaveLength(50);
    expect(result).toMatchObject({kind, next});
  });

  test('has a turn for everything that fails to go', async () => {
    const tried: string[] = [];
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      delete: ({name}) => (tried.push(name), Promise.reject(new Error('no answer'))),
    };
    for (let turn = 0; turn < 5; turn++) await pass(cluster, [], undefined, undefined, litter);
    expect(tried).toEqual(Array.from({length: 250}, (_, turn) => `old-${turn % litter.length}`));
  });

  test('deletes what may go behind any number that may not, and then rests', async () => {
    const deleted = new Set<string>();
    const cluster: PassCluster = {
      ...clusterOf(() => Promise.resolve('unchanged')),
      delete: (key) => {
        if (Number(key.name.slice('old-'.length)) < 60) return Promise.reject(new ApplyRefused('refused', key, 'no'));
        deleted.add(key.name);
        return Promise.resolve('deleted');
      },
    };
    const again = () =>
      pass(
        cluster,
        [],
        undefined,
        undefined,
        litter.filter(({ref}) => !deleted.has(ref.name)),
      );
    const kinds = [(await again()).result.kind, (await again()).result.kind, (await again()).result.kind];
    expect(kinds).toEqual(['refused', 'changed', 'changed']);
    expect(deleted.size).toBe(60);
    const {result} = await again();
    expect(result).toMatchObject({kind: 'refused', next: {kind: 'on-change'}});
    expect(result.problems[0]).toBe('ConfigMap default/old-0: no; 10 more are left to delete');
    expect((await again()).result).toEqual(result);
  });

  test('that has run out of time says once how many it has not deleted', async () => {
    const late = AbortSignal.abort();
    const {result} = await pass(
      clusterOf(() => Promise.resolve('unchanged')),
      [],
      undefined,
      undefined,
      litter,
      undefined,
      undefined,
      late,
    );
    const problems = ['ConfigMap default/old-0: the pass ran out of time with 120 left to delete'];
    expect(result).toMatchObject({kind: 'failed', problems});
  });

  test('leaves to the next what it would delete on the word of an object that it has written itself', async () => {
    const cluster = (kind: 'created' | 'unchanged'): PassCluster => clusterOf(() => Promise.resolve(kind));
    const {manifest} = shelf('basis');
    const unchanged = [{key: keyOf(manifest), version: '1'}];
    const surplus: Surplus[] = [
      {ref: {apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'old', uid: 'old'}, unchanged},
    ];
    const first = await pass(cluster('created'), [component('one', 'basis')], undefined, undefined, surplus);
    expect(first.outcome?.get('surplus')).toBeUndefined();
    expect(first.result).toMatchObject({kind: 'changed', problems: []});
    const second = await pass(cluster('unchanged'), [component('one', 'basis')], undefined, undefined, surplus);
    expect(second.outcome?.get('surplus')).toMatchObject([{kind: 'deleted', key: {name: 'old'}}]);
  });

  test('that may not write any more ends only when every component has stopped', async () => {
    const {promise: released, resolve: release} = Promise.withResolvers<'unchanged'>();
    const applied: string[] = [];
    const cluster = clusterOf(async (name) => {
      if (name === 'gated') throw new NotLeader('the lease was not renewed in time');
      const end = await released;
      applied.push(name);
      return end;
    });
    const ended = pass(cluster, [component('one', 'gated'), component('two', 'slow')]);
    const first = await Promise.race([
      ended.catch(() => 'ended'),
      new Promise((resolve) => setImmediate(resolve, 'runs')),
    ]);
    expect(first).toBe('runs');
    release('unchanged');
    await expect(ended).rejects.toThrow(NotLeader);
    expect(applied).toEqual(['slow']);
  });
});

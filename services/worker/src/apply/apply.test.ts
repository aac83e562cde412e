import {expect, test} from '@jest/globals';
import {createLogger} from '@pisync/core/telemetry/logger';
import {type Batch} from './batch.ts';
import {createApply, type Patience} from './apply.ts';
import {type ShardStore} from './shard-store.ts';
import {batchesOf, deviceIdOf} from '../testing/pieces.ts';

const fault = (code: string, more: object = {}): Error => Object.assign(new Error(code), {code, ...more});

/** Devices are numbered from 1; each has one batch. */
const bench = () => {
  const shard = {
    /** @returns what to throw, of the devices of one transaction */
    fails: (_: readonly number[]): Error | undefined => undefined,
    held: new Set<number>(),
    answers: true,
    isOutdated: false,
    days: (): Promise<readonly string[]> => Promise.resolve([]),
    /** Takes what it is sent and never answers. */
    isMute: (_: readonly number[]): boolean => false,
    transactions: [] as (readonly number[])[],
  };
  const store: ShardStore = {
    async transaction({deviceKeys, work, deadline}) {
      shard.transactions.push(deviceKeys);
      if (shard.isMute(deviceKeys)) {
        await new Promise((resolve) => deadline?.addEventListener('abort', resolve));
        throw new Error('Connection terminated unexpectedly');
      }
      const error = shard.fails(deviceKeys);
      if (error !== undefined) throw error;
      const value = await work({
        locked: deviceKeys.map((deviceKey) => ({
          ...{deviceKey, deviceId: deviceIdOf(deviceKey), epoch: 1},
          ...{numbers: {through: 0, ahead: []}, stateEpoch: 0, stateSeq: 0},
        })),
        busy: new Set(),
        epochs: [],
        write: () => Promise.resolve([]),
        findReceipts: () => Promise.resolve([]),
        keepRefused: () => Promise.resolve(),
      });
      return {kind: 'done', value};
    },
    ensureDays: () => shard.days(),
    heldDevices: (_, deviceKeys) => Promise.resolve(new Set(deviceKeys.filter((key) => shard.held.has(key)))),
    answers: () => Promise.resolve(shard.answers),
    isOutdated: () => Promise.resolve(shard.isOutdated),
  };
  const apply = createApply({
    store,
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    // Deadlines of mute transactions come at once.
    deadline: () => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 5);
      return stop.signal;
    },
    keptDays: () => 30,
    now: () => 0,
    newId: () => 'id',
  });
  const run = async (count: number, patience: Partial<Patience> = {}) => {
    const result = await apply(0, batchesOf(count), {timeoutMs: 2_000, mayHalve: false, ...patience});
    const keys = (batches: readonly Batch[]) => batches.map(({deviceKey}) => deviceKey).toSorted((a, b) => a - b);
    return {
      applied: keys(result.written.flatMap(({applied}) => applied.filter(({content}) => content.kind === 'good'))),
      rejected: keys(result.written.flatMap(({applied}) => applied.filter(({content}) => content.kind === 'rejected'))),
      refused: result.refused.map(({batch, scope}) => `${batch.deviceKey}: ${scope}`),
      busy: keys(result.busy),
      undecided: keys(result.undecided),
      isFault: result.fault !== undefined,
      isSlow: result.isSlow,
    };
  };
  return {shard, run};
};

const NONE = {applied: [], rejected: [], refused: [], busy: [], undecided: [], isFault: false, isSlow: false};
const ALL = [1, 2, 3, 4, 5, 6, 7, 8];
const OTHERS = [1, 2, 3, 4, 6, 7, 8];
const of =
  (error: Error, key = 5) =>
  (keys: readonly number[]) =>
    keys.includes(key) ? error : undefined;

test('a batch that collides is tried again at once, and says nothing of its shard however often it does', async () => {
  const {shard, run} = bench();
  shard.fails = () => (shard.transactions.length < 3 ? fault('40P01') : undefined);
  expect(await run(8)).toEqual({...NONE, applied: ALL});
  shard.fails = () => fault('40001');
  expect(await run(8)).toEqual({...NONE, busy: ALL});
});

test('a device of which somebody has a row waits, and the others are applied in one transaction more', async () => {
  const {shard, run} = bench();
  shard.held.add(5);
  shard.fails = of(fault('55P03'));
  expect(await run(8)).toEqual({...NONE, applied: OTHERS, busy: [5]});
  expect(shard.transactions).toEqual([ALL, OTHERS]);
});

test('a lock that is on no row is the fault of the shard when it lasts', async () => {
  const {shard, run} = bench();
  shard.fails = () => fault('55P03');
  expect(await run(8)).toEqual({...NONE, undecided: ALL, isFault: true});
  expect(shard.transactions).toHaveLength(2);
});

test.each(['XX001', 'XX000', '58030'])(
  '%s of one device is found by halving, and only this one waits',
  async (code) => {
    const {shard, run} = bench();
    shard.fails = of(fault(code));
    expect(await run(8)).toEqual({...NONE, applied: OTHERS, refused: ['5: row']});
  },
);

test('damage that every device meets is of the rows where the shard takes a write, and else of the shard', async () => {
  const {shard, run} = bench();
  shard.fails = () => fault('XX001');
  expect(await run(2)).toEqual({...NONE, refused: ['1: row', '2: row']});
  shard.answers = false;
  expect(await run(2)).toEqual({...NONE, undecided: [1, 2], isFault: true});
});

test('a constraint rejects a batch for good, unless the schema is older than the release', async () => {
  const {shard, run} = bench();
  let isRejected = false;
  shard.fails = (keys) => {
    if (isRejected && keys.length === 1) return undefined;
    isRejected = keys.length === 1 && keys[0] === 5;
    return of(fault('23514', {constraint: 'record_kind'}))(keys);
  };
  expect(await run(8)).toEqual({...NONE, applied: OTHERS, rejected: [5]});
  shard.fails = of(fault('23514', {constraint: 'record_kind'}));
  shard.isOutdated = true;
  expect(await run(8)).toEqual({...NONE, applied: OTHERS, refused: ['5: shard']});
});

test.each([
  ['what nobody knows', new Error('what nobody has seen before')],
  ['a limit that is exceeded', fault('54000')],
])('%s is no fault of a batch where the shard answers nobody, nor when it fails once', async (_, error) => {
  const {shard, run} = bench();
  for (const count of [1, 8]) {
    shard.transactions.length = 0;
    shard.fails = () => (shard.transactions.length === 1 ? error : undefined);
    expect(await run(count)).toEqual({...NONE, applied: ALL.slice(0, count)});
  }
  shard.fails = () => error;
  shard.answers = false;
  shard.transactions.length = 0;
  expect(await run(1)).toEqual({...NONE, undecided: [1], isFault: true});
  expect(await run(8)).toEqual({...NONE, undecided: ALL, isFault: true});
  expect(shard.transactions).toEqual([[1], ALL]);
});

test('a batch that exceeds a limit of a shard that takes the others is rejected for good', async () => {
  const {shard, run} = bench();
  let alone = 0;
  shard.fails = (keys) => {
    if (keys.length === 1 && keys[0] === 5) alone += 1;
    // The third time it is its rejection.
    return keys.includes(5) && alone < 3 ? fault('54000') : undefined;
  };
  expect(await run(8)).toEqual({...NONE, applied: OTHERS, rejected: [5]});
  shard.fails = of(fault('54000'));
  expect(await run(8)).toEqual({...NONE, applied: OTHERS, refused: ['5: batch']});
});

test('a lost connection is no fault of a shard that answers over another, and a batch that always loses it waits', async () => {
  const {shard, run} = bench();
  shard.fails = () => (shard.transactions.length === 1 ? fault('57P01') : undefined);
  expect(await run(8)).toEqual({...NONE, applied: ALL});
  shard.fails = of(fault('ECONNRESET'));
  expect(await run(8)).toEqual({...NONE, applied: OTHERS, refused: ['5: row']});
  shard.answers = false;
  expect(await run(8)).toEqual({...NONE, undecided: ALL, isFault: true});
});

test('what is not answered is asked over another connection, which tells a shard that is slow from one that is away', async () => {
  const {shard, run} = bench();
  shard.isMute = () => true;
  expect(await run(8)).toEqual({...NONE, undecided: ALL, isFault: true, isSlow: true});
  shard.answers = false;
  expect(await run(8)).toEqual({...NONE, undecided: ALL, isFault: true});
  expect(await run(8, {mayHalve: true})).toEqual({...NONE, undecided: ALL, isFault: true});
});

test('what takes too long however long one waits is found by halving', async () => {
  const {shard, run} = bench();
  shard.isMute = (keys) => keys.includes(5);
  expect(await run(8, {mayHalve: true})).toEqual({...NONE, applied: OTHERS, refused: ['5: row']});
});

test.each([
  ['somebody holds a lock', fault('55P03')],
  ['nothing is heard of it', new Error('it did not answer within 2 s')],
])(
  'a shard on which no place can be made for a day is tried again later, and no batch is blamed: %s',
  async (_, failure) => {
    const {shard, run} = bench();
    shard.fails = () => fault('23514');
    shard.days = () => Promise.reject(failure);
    expect(await run(4)).toMatchObject({undecided: [1, 2, 3, 4], refused: [], isFault: true});
    expect(shard.transactions).toHaveLength(1);
  },
);

test('a batch of a day that is not kept, or not there yet, is stored as one of today, and none is rejected', async () => {
  const {shard, run} = bench();
  shard.fails = () => (shard.transactions.length === 1 ? fault('23514') : undefined);
  expect(await run(4)).toEqual({...NONE, applied: [1, 2, 3, 4]});
});

import {expect, test} from '@jest/globals';
import {createFanOut} from './fan-out.ts';

const asking = () => {
  const reasons: string[] = [];
  const load = {waiting: 0, answered: 0};
  const ask = createFanOut({
    timeoutMs: 20,
    monotonic: () => performance.now(),
    loadOf: () => ({...load}),
    onMissing: (_, reason) => reasons.push(reason),
  });
  return {reasons, load, ask};
};

const never = <T>(): Promise<T> => new Promise(() => undefined);

test('a shard that is away or slow is missing, and the others answer', async () => {
  const {reasons, ask} = asking();
  const away = Object.assign(new Error('connect ECONNREFUSED'), {code: 'ECONNREFUSED'});
  const answers = [Promise.resolve('a'), Promise.reject(away), never<string>()];
  expect(await ask([0, 1, 2], (shard) => answers[shard] ?? Promise.resolve(''))).toEqual({
    answers: [{shard: 0, value: 'a'}],
    missing: [1, 2],
  });
  expect(reasons.sort()).toEqual(['connect ECONNREFUSED', 'shard 2 did not answer within 20 ms']);
});

const FULL = new Error('timeout exceeded when trying to connect');

test.each([
  ['until the reader gives up', () => never()],
  ['until the pool does', () => Promise.reject(FULL)],
])(
  'a shard that answers others while a reader waits for a connection, %s, is not said to be missing',
  async (_, outcome) => {
    const {reasons, load, ask} = asking();
    const asked = ask([0], () => {
      load.waiting = 1;
      load.answered += 1;
      return outcome();
    });
    await expect(asked).rejects.toMatchObject({code: 'overloaded', retryAfterSeconds: expect.any(Number)});
    expect(reasons).toEqual([]);
  },
);

test.each([
  ['nobody, whoever waits for a connection', 1, 0],
  ['others, and has a connection for each who reads', 0, 1],
])('a shard that answers %s, is missing', async (_, waiting, answered) => {
  const {load, ask} = asking();
  const asked = ask([0], () => {
    load.waiting = waiting;
    load.answered += answered;
    return never();
  });
  expect(await asked).toEqual({answers: [], missing: [0]});
});

test('a shard that is there and cannot do it is not said to be missing', async () => {
  const {reasons, ask} = asking();
  const mistake = Object.assign(new Error('invalid input syntax'), {code: '22P02'});
  await expect(ask([0, 1], (shard) => (shard === 0 ? Promise.resolve('a') : Promise.reject(mistake)))).rejects.toBe(
    mistake,
  );
  expect(reasons).toEqual([]);
});

import {expect, test} from '@jest/globals';
import {createFanOut} from './fan-out.ts';

const asking = () => {
  const reasons: string[] = [];
  return {reasons, ask: createFanOut({timeoutMs: 20, onMissing: (_, reason) => reasons.push(reason)})};
};

test('a shard that is away or slow is missing, and the others answer', async () => {
  const {reasons, ask} = asking();
  const away = Object.assign(new Error('connect ECONNREFUSED'), {code: 'ECONNREFUSED'});
  const answers = [Promise.resolve('a'), Promise.reject(away), new Promise<string>(() => undefined)];
  expect(await ask([0, 1, 2], (shard) => answers[shard] ?? Promise.resolve(''))).toEqual({
    answers: [{shard: 0, value: 'a'}],
    missing: [1, 2],
  });
  expect(reasons.sort()).toEqual(['connect ECONNREFUSED', 'shard 2 did not answer within 20 ms']);
});

test('a shard that is there and cannot do it is not said to be missing', async () => {
  const {reasons, ask} = asking();
  const mistake = Object.assign(new Error('invalid input syntax'), {code: '22P02'});
  await expect(ask([0, 1], (shard) => (shard === 0 ? Promise.resolve('a') : Promise.reject(mistake)))).rejects.toBe(
    mistake,
  );
  expect(reasons).toEqual([]);
});

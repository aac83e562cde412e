import {expect, test} from '@jest/globals';
import {createGather} from './gather.ts';

/** Answers one statement at a time, when told to. */
const create = (atOnce: number) => {
  const asked: (readonly string[])[] = [];
  const answers: ((outcome?: Error) => void)[] = [];
  const ask = createGather<string>({
    atOnce,
    askAll: (keys) =>
      new Promise((resolve, reject) => {
        asked.push(keys);
        answers.push((error) => {
          if (error === undefined) resolve(new Map(keys.map((key) => [key, key.toUpperCase()])));
          else reject(error);
        });
      }),
  });
  const answerNext = async (outcome?: Error): Promise<void> => {
    // What was answered before has made room by then.
    await new Promise(setImmediate);
    answers.shift()?.(outcome);
  };
  return {ask, asked, answerNext};
};

test('the first questions leave at once, and what comes meanwhile goes together', async () => {
  const {ask, asked, answerNext} = create(2);
  const first = [ask('a'), ask('b')];
  const others = Array.from({length: 250}, (_, n) => ask(`n${n}`));
  expect(asked).toEqual([['a'], ['b']]);
  await answerNext();
  expect(await first[0]).toBe('A');
  await answerNext();
  expect(await first[1]).toBe('B');
  await answerNext();
  expect(await others[0]).toBe('N0');
  await answerNext();
  await answerNext();
  expect(await others[249]).toBe('N249');
  expect(asked.slice(2).map((keys) => keys.length)).toEqual([100, 100, 50]);
});

test('what fails fails for those who asked it, and the next ones are asked', async () => {
  const {ask, answerNext} = create(1);
  const [one, two, three] = [ask('a'), ask('b'), ask('c')];
  await answerNext(new Error('lost'));
  await expect(one).rejects.toThrow('lost');
  await answerNext();
  expect(await Promise.all([two, three])).toEqual(['B', 'C']);
});

test('a question that takes longer than its statement keeps the place until it is answered', async () => {
  const {promise, resolve} = Promise.withResolvers<string>();
  const asked: string[] = [];
  const ask = createGather<string>({
    atOnce: 1,
    askAll: (keys) => {
      asked.push(...keys);
      return Promise.resolve(new Map(keys.map((key) => [key, key === 'slow' ? promise : key])));
    },
  });
  const slow = ask('slow');
  const next = ask('next');
  await new Promise(setImmediate);
  expect(asked).toEqual(['slow']);
  resolve('at last');
  expect(await Promise.all([slow, next])).toEqual(['at last', 'next']);
});

test('so many may wait, the others come back later', async () => {
  const {ask} = create(1);
  const waiting = Array.from({length: 401}, (_, n) => ask(`n${n}`));
  await expect(ask('late')).rejects.toThrow(expect.objectContaining({code: 'overloaded', retryAfterSeconds: 5}));
  expect(waiting).toHaveLength(401);
});

import {expect, test} from '@jest/globals';
import {createDoor} from './door.ts';

test('a few ask at once, some wait, and the others are told to come back', async () => {
  const door = createDoor(8);
  const {promise, resolve} = Promise.withResolvers<undefined>();
  const seen = {open: 0, most: 0};
  const ask = async (): Promise<string> => {
    seen.open += 1;
    seen.most = Math.max(seen.most, seen.open);
    await promise;
    seen.open -= 1;
    return 'nobody';
  };
  const outcomes = Promise.allSettled(Array.from({length: 1_000}, () => door(ask)));
  resolve(undefined);
  const fates = await outcomes;
  expect(seen).toEqual({open: 0, most: 4});
  expect(fates.filter(({status}) => status === 'fulfilled')).toHaveLength(204);
  expect(fates.at(-1)).toMatchObject({reason: {code: 'overloaded', retryAfterSeconds: 5}});
  // Also after one that failed there is room again.
  await expect(door(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await Promise.all(Array.from({length: 204}, () => door(ask)))).toHaveLength(204);
});

import {expect, test} from '@jest/globals';
import {createLookUp} from './look-ups.ts';

test('a few are looked up at once, some wait, and the others are told to come back; another shard does not mind', async () => {
  const lookUp = createLookUp();
  const {promise, resolve} = Promise.withResolvers<undefined>();
  const seen = {open: 0, most: 0};
  const ask = async (): Promise<string> => {
    seen.open += 1;
    seen.most = Math.max(seen.most, seen.open);
    await promise;
    seen.open -= 1;
    return 'nobody';
  };
  const strangers = Array.from({length: 1_000}, () => lookUp(0, ask));
  const outcomes = Promise.allSettled(strangers);
  expect(await lookUp(1, () => Promise.resolve('a device'))).toBe('a device');
  resolve(undefined);
  const fates = await outcomes;
  expect(seen).toEqual({open: 0, most: 4});
  expect(fates.filter(({status}) => status === 'fulfilled')).toHaveLength(204);
  expect(fates.at(-1)).toMatchObject({reason: {code: 'overloaded', retryAfterSeconds: 5}});
  // Also after one that failed there is room again.
  await expect(lookUp(0, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await Promise.all(Array.from({length: 204}, () => lookUp(0, ask)))).toHaveLength(204);
});

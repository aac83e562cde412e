import {expect, test} from '@jest/globals';
import {createSingleFlight} from './single-flight.ts';

test('so many may wait for what others began, and no more until it has ended', async () => {
  const flight = createSingleFlight<string>(2);
  const {promise, resolve} = Promise.withResolvers<string>();
  const first = ['a', 'b', 'a', 'b'].map((key) => flight(key, () => promise));
  await expect(flight('a', () => promise)).rejects.toMatchObject({code: 'overloaded', retryAfterSeconds: 5});
  expect(await flight('c', () => Promise.resolve('another'))).toBe('another');
  resolve('done');
  expect(await Promise.all(first)).toEqual(['done', 'done', 'done', 'done']);
  const again = ['a', 'a', 'a'].map((key) => flight(key, () => promise));
  expect(await Promise.all(again)).toEqual(['done', 'done', 'done']);
});

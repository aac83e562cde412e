import {expect, test} from '@jest/globals';
import {FakeClock} from './testing/fake-clock.ts';
import {Turns} from './turns.ts';

const scene = () => {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  const begun: string[] = [];
  const begin = (name: string) => {
    const {promise, resolve, reject} = Promise.withResolvers<string>();
    const taken = turns
      .take(() => {
        begun.push(name);
        return promise;
      })
      .catch(String);
    return {taken, end: () => resolve(name), fail: () => reject(new Error(name))};
  };
  return {clock, begun, begin};
};

test('one after the other, as they came, whatever becomes of each', async () => {
  const {clock, begun, begin} = scene();
  const [first, second, third] = [begin('first'), begin('second'), begin('third')];
  await clock.advance(0);
  expect(begun).toEqual(['first']);
  second.end();
  first.fail();
  expect(await first.taken).toBe('Error: first');
  expect(await second.taken).toBe('second');
  await clock.advance(0);
  expect(begun).toEqual(['first', 'second', 'third']);
  third.end();
  expect(await third.taken).toBe('third');
});

test('one that does not end holds the others up for ten seconds', async () => {
  const {clock, begun, begin} = scene();
  const [first, second] = [begin('first'), begin('second')];
  await clock.advance(9_999);
  expect(begun).toEqual(['first']);
  await clock.advance(1);
  expect(begun).toEqual(['first', 'second']);
  second.end();
  expect(await second.taken).toBe('second');
  first.end();
  expect(await first.taken).toBe('first');
});

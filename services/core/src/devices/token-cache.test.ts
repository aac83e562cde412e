import {describe, expect, test} from '@jest/globals';
import {createDoor} from '../limits/door.ts';
import {createTokenCache} from './token-cache.ts';

const setUp = () => {
  const state = {nowMs: 0, reads: 0, token: 'ann' as string | undefined, down: false};
  const tokens = createTokenCache({
    find: () => {
      state.reads += 1;
      return state.down ? Promise.reject(new Error('down')) : Promise.resolve(state.token);
    },
    door: createDoor(8),
    now: () => state.nowMs,
    freshMs: 10,
    staleMs: 100,
  });
  return {state, tokens};
};

describe('cached tokens', () => {
  test('asks once for calls at the same moment and within the fresh time, known or unknown', async () => {
    const {state, tokens} = setUp();
    await Promise.all([tokens.find('a'), tokens.find('a')]);
    await tokens.find('a');
    expect(state.reads).toBe(1);
    state.token = undefined;
    expect(await tokens.find('b')).toBeUndefined();
    expect(await tokens.find('b')).toBeUndefined();
    expect(state.reads).toBe(2);
  });

  test('notices a revocation after the fresh time', async () => {
    const {state, tokens} = setUp();
    await tokens.find('a');
    state.token = undefined;
    state.nowMs = 11;
    expect(await tokens.find('a')).toBeUndefined();
  });

  test('what was ended here is unknown at once, also to whoever asked just before', async () => {
    const {state, tokens} = setUp();
    await tokens.find('a');
    state.nowMs = 11;
    const asked = tokens.find('a');
    state.token = undefined;
    tokens.forget('a');
    await asked;
    expect(await tokens.find('a')).toBeUndefined();
    state.nowMs = 22;
    state.token = 'ann';
    expect(await tokens.find('a')).toBe('ann');
  });

  test('goes on with a known token while the database is away, but not for ever and not for a stranger', async () => {
    const {state, tokens} = setUp();
    await tokens.find('a');
    state.down = true;
    state.nowMs = 50;
    expect(await tokens.find('a')).toBe('ann');
    await expect(tokens.find('b')).rejects.toThrow('down');
    state.nowMs = 101;
    await expect(tokens.find('a')).rejects.toThrow('down');
  });

  test('waits a second for a database that hangs, and then leaves it alone for one', async () => {
    const state = {nowMs: 0, reads: 0, answer: Promise.resolve<string | undefined>('ann')};
    const tokens = createTokenCache({
      find: () => {
        state.reads += 1;
        return state.answer;
      },
      door: createDoor(8),
      now: () => state.nowMs,
      freshMs: 10,
      staleMs: 10_000,
    });
    await tokens.find('a');
    const hung = Promise.withResolvers<string | undefined>();
    state.answer = hung.promise;
    state.nowMs = 50;
    const began = performance.now();
    expect(await tokens.find('a')).toBe('ann');
    const waitedMs = performance.now() - began;
    expect(waitedMs).toBeGreaterThan(990);
    for (let call = 0; call < 20; call++) expect(await tokens.find('a')).toBe('ann');
    expect(performance.now() - began - waitedMs).toBeLessThan(900);
    expect(state.reads).toBe(2);
    // What it says at last counts.
    hung.resolve(undefined);
    await hung.promise;
    state.nowMs = 1_100;
    expect(await tokens.find('a')).toBeUndefined();
  }, 30_000);

  test.each<[string, (guess: number) => string]>([
    ['another', (guess) => `y${guess}`],
    ['the same', () => 'y'],
  ])('is not driven out by those who guess, each %s, and does not wait with them', async (_which, late) => {
    const state = {nowMs: 0};
    const {promise: never} = Promise.withResolvers<undefined>();
    const tokens = createTokenCache({
      find: (hash) => (hash === 'a' ? Promise.resolve('ann') : state.nowMs === 0 ? Promise.resolve(undefined) : never),
      door: createDoor(8),
      now: () => state.nowMs,
      freshMs: 10,
      staleMs: 100,
    });
    await tokens.find('a');
    for (let guess = 0; guess < 11_000; guess++) await tokens.find(`x${guess}`);
    state.nowMs = 1000;
    const guesses = Array.from({length: 300}, (_, guess) => tokens.find(late(guess)));
    for (const one of guesses) one.catch(() => undefined);
    await expect(guesses.at(-1)).rejects.toMatchObject({code: 'overloaded'});
    expect(await tokens.find('a')).toBe('ann');
  });
});

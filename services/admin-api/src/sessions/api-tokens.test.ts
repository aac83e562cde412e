import {describe, expect, test} from '@jest/globals';
import {type ApiToken, cacheApiTokens} from './api-tokens.ts';

const setUp = () => {
  const state = {nowMs: 0, reads: 0, token: {name: 'ann', role: 'viewer'} as ApiToken | undefined, down: false};
  const tokens = cacheApiTokens(
    {
      find: () => {
        state.reads += 1;
        return state.down ? Promise.reject(new Error('down')) : Promise.resolve(state.token);
      },
    },
    {now: () => state.nowMs, freshMs: 10, staleMs: 100, maxEntries: 2},
  );
  return {state, tokens};
};

describe('cached API tokens', () => {
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

  test('goes on with a known token while the database is away, but not for ever and not for a stranger', async () => {
    const {state, tokens} = setUp();
    await tokens.find('a');
    state.down = true;
    state.nowMs = 50;
    expect(await tokens.find('a')).toEqual({name: 'ann', role: 'viewer'});
    await expect(tokens.find('b')).rejects.toThrow('down');
    state.nowMs = 101;
    await expect(tokens.find('a')).rejects.toThrow('down');
  });

  test('forgets the oldest beyond its bound', async () => {
    const {state, tokens} = setUp();
    for (const hash of ['a', 'b', 'c', 'a']) await tokens.find(hash);
    expect(state.reads).toBe(4);
  });
});

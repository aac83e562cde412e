import {expect, test} from '@jest/globals';
import {createSigner} from '../signing/signer.ts';
import {cacheApiTokens, hashToken} from './api-tokens.ts';
import {createAuthenticator} from './authenticate.ts';
import {createRateLimiter} from './rate-limit.ts';

const setUp = () => {
  const state = {nowMs: 0, reads: 0};
  const now = () => state.nowMs;
  const tokens = cacheApiTokens(
    {
      find: (hash) => {
        state.reads += 1;
        return Promise.resolve(hash === hashToken('good') ? {name: 'ann', role: 'viewer'} : undefined);
      },
    },
    {now, freshMs: 10, staleMs: 1000, maxEntries: 100},
  );
  const authenticator = createAuthenticator({
    tokens,
    signer: createSigner(() => Promise.resolve(Buffer.alloc(32, 1).toString('base64url'))),
    now,
    failures: createRateLimiter({callsPerMinute: 3, now, maxKeys: 10}),
  });
  const code = (token: string, address = 'proxy'): Promise<unknown> =>
    authenticator.principalOfToken(token, address).then(
      ({name}) => name,
      (error: unknown) => (error as {readonly code?: unknown}).code,
    );
  return {state, code};
};

test('who guesses is held back, and then costs the database nothing', async () => {
  const {state, code} = setUp();
  for (const guess of ['1', '2', '3']) expect(await code(guess)).toBe('unauthenticated');
  expect(await code('4')).toBe('rate-limited');
  expect(state.reads).toBe(3);
  expect(await code('5', 'another address')).toBe('unauthenticated');
  state.nowMs = 60_000;
  expect(await code('6')).toBe('unauthenticated');
});

test('who was here before goes on behind the same proxy as who guesses', async () => {
  const {state, code} = setUp();
  expect(await code('good')).toBe('ann');
  for (const guess of ['1', '2', '3']) await code(guess);
  expect(await code('4')).toBe('rate-limited');
  state.nowMs = 500;
  expect(await code('good')).toBe('ann');
  state.nowMs = 2000;
  expect(await code('good')).toBe('rate-limited');
});

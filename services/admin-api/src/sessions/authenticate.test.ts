import {expect, test} from '@jest/globals';
import {createTokenCache} from '@pisync/core/devices/token-cache';
import {AppError} from '@pisync/core/errors/app-error';
import {CONNECTIONS} from '@pisync/contract/connections';
import {createDoor} from '@pisync/core/limits/door';
import type {ApiToken} from '@pisync/core/devices/tokens';
import {hashToken} from './api-tokens.ts';
import {createAuthenticator} from './authenticate.ts';

const EXPIRES_AT_MS = 86_400_000;

const setUp = () => {
  const state = {nowMs: 0, answer: Promise.resolve()};
  const now = () => state.nowMs;
  const tokens = createTokenCache<ApiToken>({
    find: async (hash) => {
      const known: ApiToken | undefined =
        hash === hashToken('good')
          ? {id: null, name: 'ann', rootId: null, role: 'viewer', scope: undefined, expiresAt: new Date(EXPIRES_AT_MS)}
          : undefined;
      if (known === undefined) await state.answer;
      return known;
    },
    door: createDoor(CONNECTIONS.adminApi.ingest),
    now,
    freshMs: 10,
    staleMs: 1000,
  });
  const authenticator = createAuthenticator({
    tokens,
    sessions: {find: () => Promise.resolve(undefined)},
    cookieName: 'pisync_session_eu',
    now,
  });
  const nameOf = (token: string): Promise<string> =>
    authenticator.principalOfToken(token).then(
      ({name}) => name,
      (error: unknown) => (error instanceof AppError ? error.code : 'broken'),
    );
  return {state, nameOf};
};

test('who guesses keeps nobody from signing in', async () => {
  const {nameOf} = setUp();
  for (let guess = 0; guess < 11_000; guess++) expect(await nameOf(`x${guess}`)).toBe('unauthenticated');
  expect(await nameOf('good')).toBe('ann');
});

test.each<[string, (guess: number) => string, number]>([
  ['different tokens', (guess) => `y${guess}`, 201],
  ['one token', () => 'y', 201],
])(
  'who was here before goes on, however many guess %s at once and however long ago that was',
  async (_what, tokenOf, answered) => {
    const {state, nameOf} = setUp();
    expect(await nameOf('good')).toBe('ann');
    for (let guess = 0; guess < 11_000; guess++) await nameOf(`x${guess}`);
    state.nowMs = 3_600_000;
    const {promise, resolve} = Promise.withResolvers<undefined>();
    state.answer = promise.then(() => undefined);
    const guesses = Array.from({length: 300}, (_, guess) => nameOf(tokenOf(guess)));
    expect(await guesses.at(-1)).toBe('overloaded');
    expect(await nameOf('good')).toBe('ann');
    resolve(undefined);
    expect((await Promise.all(guesses)).filter((code) => code === 'unauthenticated')).toHaveLength(answered);
  },
);

test('a token that is remembered expires although nobody can be asked', async () => {
  const {state, nameOf} = setUp();
  state.nowMs = EXPIRES_AT_MS - 5;
  expect(await nameOf('good')).toBe('ann');
  // Younger than what is asked for again.
  state.nowMs = EXPIRES_AT_MS;
  expect(await nameOf('good')).toBe('unauthenticated');
});

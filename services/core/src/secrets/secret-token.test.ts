import {expect, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {tokenHash} from '../devices/tokens.ts';
import {createSecretToken} from './secret-token.ts';

const hex = (token: string): string => tokenHash(token).toString('hex');

test('a token that is replaced in the Secret is refused within seconds, and the new one let in', async () => {
  let nowMs = 0;
  let value: string | undefined = 'old';
  const token = createSecretToken({
    secrets: {
      read: (folder, key) =>
        value === undefined
          ? Promise.reject(new AppError('unavailable', 'not mounted'))
          : Promise.resolve(`${folder}/${key}/${value}`),
    },
    key: 'adminToken',
    monotonic: () => nowMs,
  });
  const [old, next] = [hex('bootstrap/admin-token/old'), hex('bootstrap/admin-token/new')];
  expect([await token.matches(old), await token.matches(next)]).toEqual([true, false]);
  value = 'new';
  nowMs = 2_000;
  expect([await token.matches(old), await token.matches(next)]).toEqual([false, true]);
  value = undefined;
  nowMs = 4_000;
  expect(await token.matches(next)).toBe(false);
});

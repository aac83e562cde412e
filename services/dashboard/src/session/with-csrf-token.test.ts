import {expect, test} from '@jest/globals';
import {ApiError} from '../api/client.ts';
import type {Session} from '../api/types.ts';
import {withCsrfToken} from './with-csrf-token.ts';

const ann: Session = {
  id: null,
  name: 'ann',
  role: 'admin',
  groups: null,
  region: 'eu',
  csrfToken: 'old',
  expiresAt: null,
};
const newer: Session = {...ann, csrfToken: 'new'};
const refused = new ApiError(403, 'no');

/** A server that takes one token only. */
const changing = (right: string) => {
  const sent: string[] = [];
  return {
    sent,
    change: (token: string) => {
      sent.push(token);
      return token === right ? Promise.resolve('done') : Promise.reject(refused);
    },
  };
};

test('a token that is right is sent once, and nothing is read', async () => {
  const {sent, change} = changing('old');
  const read = () => Promise.reject(new Error('read'));
  expect(await withCsrfToken(ann, read, change)).toBe('done');
  expect(sent).toEqual(['old']);
});

test('after a sign-in in another tab the new token is read and the change made', async () => {
  const {sent, change} = changing('new');
  expect(await withCsrfToken(ann, () => Promise.resolve(newer), change)).toBe('done');
  expect(sent).toEqual(['old', 'new']);
});

test('who may not do it is told so, without a second try', async () => {
  const {sent, change} = changing('none');
  await expect(withCsrfToken(ann, () => Promise.resolve(ann), change)).rejects.toBe(refused);
  await expect(withCsrfToken(ann, () => Promise.resolve(null), change)).rejects.toBe(refused);
  expect(sent).toEqual(['old', 'old']);
});

test.each([
  {...newer, name: 'bob'},
  {...newer, role: 'viewer'},
  {...newer, groups: ['north']},
  {...newer, id: '019ae2d5-0000-7000-8000-000000000001'},
] satisfies Session[])('nothing is done as $name ($role), who was not on the page', async (other) => {
  const {sent, change} = changing('new');
  await expect(withCsrfToken(ann, () => Promise.resolve(other), change)).rejects.toThrow(other.name);
  expect(sent).toEqual(['old']);
});

test('any other failure is passed on', async () => {
  const away = new ApiError(503, 'away');
  await expect(
    withCsrfToken(
      ann,
      () => Promise.resolve(newer),
      () => Promise.reject(away),
    ),
  ).rejects.toBe(away);
});

import {expect, test} from '@jest/globals';
import type {Session} from '../api/types.ts';
import {nextSession, NOBODY} from './session-state.ts';

const ann: Session = {
  id: null,
  name: 'ann',
  role: 'admin',
  groups: null,
  region: 'eu',
  csrfToken: 'old',
  expiresAt: null,
};

const signedIn = {who: ann, hasEnded: false, isTakenOver: false};
const ended = {...signedIn, hasEnded: true};

test('a session ends for who was signed in, and never began for who was not', () => {
  expect(nextSession(undefined, null)).toEqual(NOBODY);
  expect(nextSession(NOBODY, null)).toEqual(NOBODY);
  expect(nextSession(signedIn, null)).toEqual(ended);
  expect(nextSession(ended, null)).toEqual(ended);
  expect(nextSession(ended, ann)).toEqual(signedIn);
});

test.each([
  {...ann, name: 'bob'},
  {...ann, role: 'viewer'},
  {...ann, groups: ['north']},
  {...ann, id: '019ae2d5-0000-7000-8000-000000000001'},
] satisfies Session[])('%j takes the page over from who was signed in', (other) => {
  const takenOver = {who: other, hasEnded: false, isTakenOver: true};
  expect(nextSession(signedIn, other)).toEqual(takenOver);
  expect(nextSession(takenOver, {...other, csrfToken: 'new'}).isTakenOver).toBe(true);
  // The sign-in form was shown.
  expect(nextSession(ended, other).isTakenOver).toBe(false);
});

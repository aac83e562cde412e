import {expect, test} from '@jest/globals';
import type {Session} from '../api/types.ts';
import {nextSession} from './session-state.ts';

const ann: Session = {name: 'ann', role: 'admin', groups: null, region: 'eu', csrfToken: 'old', expiresAt: null};

test('a session ends for who was signed in, and never began for who was not', () => {
  expect(nextSession(undefined, null)).toBeNull();
  expect(nextSession(null, null)).toBeNull();
  expect(nextSession(ann, null)).toBe('ended');
  expect(nextSession('ended', null)).toBe('ended');
  expect(nextSession('ended', ann)).toBe(ann);
});

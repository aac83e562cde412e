import {expect, test} from '@jest/globals';
import {explain} from './explain.ts';

test.each([
  ['ECONNREFUSED', 'nothing listens'],
  ['fetch failed: ENOTFOUND', 'DNS'],
  ['HTTP 308', 'https'],
  ['HTTP 200 without the answer to this enrolment in its body', 'login page'],
  ['HTTP 401: by region b, and this device is of region a', 'identity.json'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', '--ca-file'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'https or http?'],
])('says what to do about %s', (error, hint) => {
  expect(explain(error).startsWith(`${error} (`)).toBe(true);
  expect(explain(error)).toContain(hint);
});

test('leaves alone what explains itself', () => {
  expect(explain('HTTP 503: the broker is away')).toBe('HTTP 503: the broker is away');
});

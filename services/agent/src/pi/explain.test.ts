import {expect, test} from '@jest/globals';
import {explain} from './explain.ts';

test.each([
  ['ECONNREFUSED', 'nothing listens'],
  ['fetch failed: ENOTFOUND', 'DNS'],
  ['HTTP 308', 'https'],
  ['HTTP 200 without an enrolment answer in its body', 'login page'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', '--ca-file'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'https or http?'],
])('says what to do about %s', (error, hint) => {
  expect(explain(error).startsWith(`${error} (`)).toBe(true);
  expect(explain(error)).toContain(hint);
});

test('leaves alone what explains itself', () => {
  expect(explain('HTTP 503: the broker is away')).toBe('HTTP 503: the broker is away');
});

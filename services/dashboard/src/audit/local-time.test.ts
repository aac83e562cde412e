import {expect, test} from '@jest/globals';
import {localOf, momentOf} from './local-time.ts';

test.each(['2026-07-01T12:30:00.000Z', '2026-12-31T23:59:00.000Z'])('%s stays what it is', (at) => {
  expect(momentOf(localOf(at))).toBe(at);
});

test.each([undefined, 'yesterday'])('%s is no moment', (at) => {
  expect(localOf(at)).toBe('');
  expect(momentOf(localOf(at))).toBeUndefined();
});

import {expect, test} from '@jest/globals';
import {isNewEnough} from './go-toolchain.ts';

test.each([
  ['go1.19.8', false],
  ['go1.26', false],
  ['go1.26.3', false],
  ['go1.26.4', true],
  ['go1.26.10', true],
  ['go1.27', true],
  ['go2.0', true],
  ['devel +abc', false],
  ['', false],
])('%s is new enough: %s', (version, expected) => {
  expect(isNewEnough(version)).toBe(expected);
});

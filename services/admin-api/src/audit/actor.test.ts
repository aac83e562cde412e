import {expect, test} from '@jest/globals';
import {addressOf} from './actor.ts';

test.each([
  [undefined, '192.0.2.1', '192.0.2.1'],
  [undefined, '::ffff:192.0.2.1', '192.0.2.1'],
  ['198.51.100.7', '10.0.0.1', '198.51.100.7'],
  ['1.2.3.4, 198.51.100.7', '10.0.0.1', '198.51.100.7'],
  ['2001:db8::1', '10.0.0.1', '2001:db8::1'],
  ['nonsense', '10.0.0.1', '10.0.0.1'],
  ['', '10.0.0.1', '10.0.0.1'],
  [undefined, undefined, undefined],
])('forwarded for %s by %s it comes from %s', (forwardedFor, peer, address) => {
  expect(addressOf(forwardedFor, peer)).toBe(address);
});

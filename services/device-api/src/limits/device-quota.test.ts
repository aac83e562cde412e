import {expect, test} from '@jest/globals';
import {BYTES_A_TOKEN, createDeviceQuota} from './device-quota.ts';

test('a device may burst, is then told when to come back, and does not use up the quota of another', () => {
  let time = 0;
  const quota = createDeviceQuota({burst: 2, perSecond: 0.5, now: () => time});
  quota.take('a');
  quota.take('a');
  expect(() => quota.take('a')).toThrow(expect.objectContaining({code: 'rate-limited', retryAfterSeconds: 2}));
  quota.take('b');
  time = 2000;
  quota.take('a');
  expect(() => quota.take('a')).toThrow(expect.objectContaining({code: 'rate-limited'}));
});

test('a large body counts as many calls: one passes, and many at once do not', () => {
  let time = 0;
  const quota = createDeviceQuota({burst: 4, perSecond: 2, now: () => time});
  for (let call = 0; call < 4; call++) quota.take('a');
  quota.spend('a', 8 * BYTES_A_TOKEN);
  for (let call = 0; call < 3; call++) {
    expect(() => quota.spend('a', 8 * BYTES_A_TOKEN)).toThrow(
      expect.objectContaining({code: 'rate-limited', retryAfterSeconds: 4.5}),
    );
  }
  quota.take('b');
  quota.spend('b', BYTES_A_TOKEN - 1);
  time = 4500;
  quota.take('a');
  quota.spend('a', 8 * BYTES_A_TOKEN);
  expect(() => quota.take('a')).toThrow(expect.objectContaining({retryAfterSeconds: 4.5}));
});

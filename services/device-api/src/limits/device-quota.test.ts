import {expect, test} from '@jest/globals';
import {createDeviceQuota} from './device-quota.ts';

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

import {expect, test} from '@jest/globals';
import {deviceIdOf} from './device-id.ts';

test('a device id is a version 5 uuid that never changes', () => {
  expect(deviceIdOf('10000000abcdef01')).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(deviceIdOf('10000000abcdef01')).toBe(deviceIdOf('10000000abcdef01'));
  expect(deviceIdOf('10000000abcdef01')).not.toBe(deviceIdOf('10000000abcdef02'));
});

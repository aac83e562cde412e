import {expect, test} from '@jest/globals';
import {HOST_PACKAGES, missingPackages} from './host-packages.ts';

test('nothing is missing where everything is', () => {
  expect(missingPackages(() => true)).toEqual([]);
});

test('a kernel that has bridges built in needs no kmod', () => {
  const missing = missingPackages((provides) => provides === '/proc/sys/net/bridge');
  expect(missing.map(({name}) => name)).toEqual(HOST_PACKAGES.map(({name}) => name).filter((name) => name !== 'kmod'));
});

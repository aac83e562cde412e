import {expect, test} from '@jest/globals';
import {unread} from './clean.ts';
import {identity} from './testing/fixtures.ts';

test('what is kept of an object that cannot be read has a limit, and says whose it is', () => {
  const more = Object.fromEntries(Array.from({length: 10_000}, (_, number) => [`label-${number}`, 'x']));
  const owner = {apiVersion: 'v1', kind: 'Shop', name: 'x'.repeat(2 ** 20), uid: 'o', controller: true};
  const metadata = {name: 'web', namespace: 'shops', uid: 'u', resourceVersion: '1'};
  const labels = {[identity.resourceLabel]: 'corner'};
  const kind = {apiVersion: 'v1', kind: 'ConfigMap'};
  const object = {...kind, metadata: {...metadata, labels: {...labels, ...more}, ownerReferences: [owner]}};
  expect(unread(object, kind, identity)).toEqual({...kind, metadata: {...metadata, labels, partial: true}});
});

import {describe, expect, test} from '@jest/globals';
import {type Desired} from './controller.ts';
import {type ServerMeta} from './object.ts';
import {signed, strangerOf} from './ownership.ts';
import {identity, liveObject} from './testing/fixtures.ts';

const owner = {apiVersion: 'example.org/v1', kind: 'Shop', namespace: 'default', name: 'north', uid: 'uid-north'};
const desired: Desired = {
  manifest: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'a', namespace: 'default', labels: {tier: 'x'}}},
};
const ours = {'app.kubernetes.io/managed-by': 'shop-operator', 'example.org/shop': 'north'};
const controlledBy = (name: string, uid: string): Partial<ServerMeta> => ({
  ownerReferences: [{apiVersion: 'example.org/v1', kind: 'Shop', name, uid, controller: true}],
});

describe('an existing object', () => {
  test.each<[string, Partial<ServerMeta>, boolean]>([
    ['controlled by this owner is ours even without labels', controlledBy('north', 'uid-north'), true],
    ['with our labels and no owner (retained data) is ours', {labels: ours}, true],
    ['with our labels and an owner of an earlier life is ours', {labels: ours, ...controlledBy('north', 'old')}, true],
    [
      'controlled by another owner is not, whatever its labels',
      {labels: ours, ...controlledBy('south', 'uid-south')},
      false,
    ],
    ['of another resource is not', {labels: {...ours, 'example.org/shop': 'south'}}, false],
    ['of another manager is not', {labels: {...ours, 'app.kubernetes.io/managed-by': 'Helm'}}, false],
    ['without any sign is not', {}, false],
    ['annotated for adoption is ours', {annotations: {'example.org/adopt': 'north'}}, true],
    ['annotated for adoption by another is not', {annotations: {'example.org/adopt': 'south'}}, false],
  ])('%s', (_, metadata, isOurs) => {
    const stranger = strangerOf(liveObject('a', '1', metadata), desired, owner, identity);
    expect(stranger === undefined).toBe(isOurs);
  });

  test('is taken over when the plan says so', () => {
    expect(strangerOf(liveObject('a', '1'), {...desired, adopt: true}, owner, identity)).toBeUndefined();
  });
});

test('signing adds labels, the hash and the owner, and keeps what the manifest has', () => {
  expect(signed(desired, owner, identity, 'h').metadata).toEqual({
    name: 'a',
    namespace: 'default',
    labels: {tier: 'x', ...ours},
    annotations: {'example.org/applied': 'h'},
    ownerReferences: [
      {
        apiVersion: 'example.org/v1',
        kind: 'Shop',
        name: 'north',
        uid: 'uid-north',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  });
  expect(signed({...desired, ownership: 'none'}, owner, identity, 'h').metadata.ownerReferences).toBeUndefined();
});

import {expect, test} from '@jest/globals';
import {BASE_IMAGES} from '../images/base-images.ts';
import {missingFor} from './missing.ts';

const NOTHING = {baseImages: [], binaries: false};
const namesOf = (packages: readonly {readonly name: string}[]): readonly string[] => packages.map(({name}) => name);

test('images are built without Kubernetes and without what runs containers', () => {
  const {packages, baseImages, binaries} = missingFor('images', {kind: 'bare'}, NOTHING);
  expect(namesOf(packages)).toEqual(['buildah', 'mmdebstrap', 'python3-pip']);
  expect(baseImages).toEqual(BASE_IMAGES);
  expect(binaries).toBe(false);
});

test('a local cluster needs all of that and Kubernetes, as far as it is not there', () => {
  const {packages, ...rest} = missingFor('cluster', {kind: 'bare'}, NOTHING);
  expect(namesOf(packages)).toEqual(expect.arrayContaining(['buildah', 'mmdebstrap', 'containerd']));
  expect(rest).toEqual({baseImages: BASE_IMAGES, binaries: true});
  expect(missingFor('cluster', {kind: 'bare'}, {baseImages: BASE_IMAGES, binaries: true})).toMatchObject({
    baseImages: [],
    binaries: false,
  });
});

test.each(['images', 'cluster'] as const)('with Docker nothing is made for %s', (purpose) => {
  expect(missingFor(purpose, {kind: 'kind'}, NOTHING)).toEqual({packages: [], baseImages: [], binaries: false});
});

test('without Docker and root it says why', () => {
  expect(() => missingFor('images', {kind: 'none', why: 'neither'}, NOTHING)).toThrow('neither');
});

import {expect, test} from '@jest/globals';
import {specSchema} from '../api/v1alpha1/spec.ts';
import {Children} from './children.ts';
import {contextOf} from './context.ts';
import {RELEASE} from './testing/simulated-region.ts';

const imagesOf = (spec: Record<string, unknown>, service = RELEASE.images.service) => {
  const release = {...RELEASE, images: {...RELEASE.images, service}};
  const parsed = specSchema.parse({region: 'eu-west', ...spec});
  return contextOf({name: 'eu', namespace: 'sync', status: {}}, parsed, release, new Children([]), 0).images;
};

test('images are those of the release, unless one is named', () => {
  expect(imagesOf({})).toEqual(RELEASE.images);
  const postgres = `registry.example.com/pg@sha256:${'0'.repeat(64)}`;
  expect(imagesOf({images: {postgres}})).toEqual({...RELEASE.images, postgres});
});

test.each([
  ['registry.example.com/pisync:1.2.3', 'registry.example.com/pisync:2.0.0'],
  ['localhost:5000/pisync', 'localhost:5000/pisync:2.0.0'],
  [`localhost:5000/team/pisync:1.2.3@sha256:${'0'.repeat(64)}`, 'localhost:5000/team/pisync:2.0.0'],
])('a version is another tag of %s', (service, expected) => {
  expect(imagesOf({version: '2.0.0'}, service).service).toBe(expected);
});

test.each([
  ['registry.example.com/pisync:1.2.3', 'mirror.example.com/proxy/pisync:1.2.3'],
  ['localhost/pisync:1.2.3', 'mirror.example.com/proxy/pisync:1.2.3'],
  ['localhost:5000/team/pisync:1.2.3', 'mirror.example.com/proxy/team/pisync:1.2.3'],
  ['team/pisync:1.2.3', 'mirror.example.com/proxy/team/pisync:1.2.3'],
  ['pisync:1.2.3', 'mirror.example.com/proxy/pisync:1.2.3'],
])('another registry takes the place of the one in %s', (service, expected) => {
  expect(imagesOf({images: {registry: 'mirror.example.com/proxy'}}, service).service).toBe(expected);
});

test('an image that is named is not moved to another registry', () => {
  const images = imagesOf({version: '2.0.0', images: {registry: 'mirror:5000', redis: 'docker.io/library/redis:8.2'}});
  expect(images).toMatchObject({service: 'mirror:5000/pisync:2.0.0', redis: 'docker.io/library/redis:8.2'});
});

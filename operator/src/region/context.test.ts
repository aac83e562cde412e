import {describe, expect, test} from '@jest/globals';
import {specSchema} from '../api/v1alpha1/spec.ts';
import {Children} from './children.ts';
import {contextOf} from './context.ts';
import {RELEASE, SimulatedRegion} from './testing/simulated-region.ts';

const contextWith = (spec: Record<string, unknown>, service = RELEASE.images.service) => {
  const release = {...RELEASE, images: {...RELEASE.images, service}};
  const parsed = specSchema.parse({region: 'eu-west', ...spec});
  return contextOf({name: 'eu', namespace: 'sync', status: {}}, parsed, release, new Children([]), 0);
};

const imagesOf = (...given: Parameters<typeof contextWith>) => contextWith(...given).images;

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

describe('the version', () => {
  test("is that of the operator's image of the services, unless the spec says another", () => {
    const service = 'registry.example.com/pisync:9.9.9';
    expect(contextWith({}, service).version).toBe('9.9.9');
    expect(contextWith({version: '2.0.0'}, service).version).toBe('2.0.0');
  });

  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  test.each([
    ['its tag', 'localhost:5000/pisync:1.2', '1.2'],
    ['its tag, where there is a digest, too', `localhost:5000/pisync:1.2@${digest}`, '1.2'],
    ['the beginning of its digest', `localhost:5000/pisync@${digest}`, 'sha256-0123456789ab'],
    ['latest, which no tag means', 'localhost:5000/pisync', 'latest'],
    ['no more of its tag than a label may have', `pisync:_${'a'.repeat(61)}.${'b'.repeat(20)}`, 'a'.repeat(61)],
  ])('of an image that is named is %s', (_what, service, expected) => {
    expect(contextWith({images: {service}, version: '1.3'}).version).toBe(expected);
    expect(contextWith({images: {service}}).version).toBe(expected);
  });

  test('that the status tells is the one that runs', () => {
    const region = new SimulatedRegion({region: 'eu-west', version: '1.3', images: {service: 'pisync:1.2'}}).bringUp();
    expect(region.status.version).toEqual({current: '1.2', target: '1.2', operator: '1.2.3'});
    expect(region.find('Deployment', 'eu-worker')?.metadata.labels).toMatchObject({'app.kubernetes.io/version': '1.2'});
  });
});

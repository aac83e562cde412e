import {expect, test} from '@jest/globals';
import {configHelp, loadConfig} from './config.ts';

const MINIMAL = {PISYNC_IMAGE_SERVICE: 'registry.example.com:5000/pisync@sha256:abc'};

test('an image of the services is all it needs', () => {
  expect(loadConfig(MINIMAL)).toMatchObject({
    logLevel: 'info',
    opsPort: 9090,
    namespaces: [],
    workers: 4,
    postgresImage: 'docker.io/library/postgres:17',
  });
});

test('namespaces are separated by commas', () => {
  expect(loadConfig({...MINIMAL, PISYNC_NAMESPACES: 'a,b'}).namespaces).toEqual(['a', 'b']);
});

test('an empty variable counts as unset', () => {
  expect(loadConfig({...MINIMAL, PISYNC_LOG_LEVEL: '', KUBECONFIG: ''})).toMatchObject({
    logLevel: 'info',
    kubeconfig: undefined,
  });
});

test.each(['a=b', 'a', '!a', 'example.com/a!=b', 'tier in (blue, green),!old', 'a==b, c notin (d)'])(
  'regions are chosen by the label selector %s',
  (text) => {
    expect(loadConfig({...MINIMAL, PISYNC_REGION_SELECTOR: text}).regionSelector).toBe(text);
  },
);

test.each(['=b', 'a=b=c', 'a in b', 'a=b,', 'a b'])('%s is no label selector', (text) => {
  expect(() => loadConfig({...MINIMAL, PISYNC_REGION_SELECTOR: text})).toThrow(/PISYNC_REGION_SELECTOR: .* selector/);
});

test('every bad variable is named at once', () => {
  expect(() => loadConfig({PISYNC_LOG_LEVEL: 'loud', PISYNC_WORKERS: '0', PISYNC_NAMESPACES: 'A'})).toThrow(
    /PISYNC_LOG_LEVEL: [^]*PISYNC_NAMESPACES: [^]*PISYNC_WORKERS: [^]*PISYNC_IMAGE_SERVICE: is required/,
  );
});

test('the help names every variable', () => {
  for (const name of ['PISYNC_LOG_LEVEL', 'PISYNC_IMAGE_SERVICE (required)', 'KUBECONFIG (optional)']) {
    expect(configHelp()).toContain(name);
  }
});

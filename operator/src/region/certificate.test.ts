import {expect, test} from '@jest/globals';
import {type Key, type KubeObject} from '../kube/object.ts';
import {certificateProblem, unfit} from './certificate.ts';
import {decodeRegion} from './region.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com'}};
const text = (value: string): string => Buffer.from(value).toString('base64');

const secretOf = (data?: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: {name: 'cert', uid: 'secret', resourceVersion: '1'},
  ...(data === undefined ? {} : {data}),
});

test.each([
  ['with both keys', secretOf({'tls.crt': text('c'), 'tls.key': text('k')}), undefined, ''],
  ['that does not exist', undefined, 'CertificateMissing', 'kubectl create secret tls cert'],
  ['without a key', secretOf({'tls.crt': text('c'), 'tls.key': ''}), 'CertificateUnfit', 'it lacks tls.key'],
  ['without anything', secretOf(), 'CertificateUnfit', 'it lacks tls.crt and tls.key'],
])('a Secret %s', (_what, secret, reason, words) => {
  const problem = unfit('cert', secret);
  expect(problem?.reason).toBe(reason);
  expect(problem?.message ?? '').toContain(words);
});

test.each([
  ['with mode Secret', {tls: {mode: 'Secret', secretName: 'cert'}}, ['sync/cert']],
  ['with mode None', {tls: {mode: 'None', secretName: 'cert'}}, []],
  ['without routes', {enabled: false, tls: {mode: 'Secret', secretName: 'cert'}}, []],
  ['that is no object', 'nonsense', []],
])('the Secret of an ingress %s', async (_what, ingress, expected) => {
  const asked: string[] = [];
  const read = ({namespace, name}: Key): Promise<undefined> => {
    asked.push(`${namespace ?? ''}/${name}`);
    return Promise.resolve(undefined);
  };
  const region = decodeRegion({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: 'region', resourceVersion: '1'},
    spec: {ingress},
  });
  const problem = await certificateProblem(region, {read}, new AbortController().signal);
  expect(asked).toEqual(expected);
  expect(problem === undefined).toBe(expected.length === 0);
});

test('a region without its certificate is not ready, and is again when it comes', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  region.routeProblem = unfit('cert', undefined);
  region.pass();
  expect(region.status.conditions?.[0]).toMatchObject({type: 'Ready', status: 'False', reason: 'CertificateMissing'});
  expect(region.status.phase).toBe('Degraded');
  region.routeProblem = undefined;
  region.pass();
  expect(region.status.phase).toBe('Ready');
});

import {describe, expect, test} from '@jest/globals';
import {type Key, type KubeObject} from '../kube/object.ts';
import {observeEntrance} from './entrance.ts';
import {schemeAt} from './gateway.ts';
import {known} from './reading.ts';
import {decodeRegion} from './region.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const never = new AbortController().signal;
const regionOf = (ingress: unknown) =>
  decodeRegion({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: 'region', resourceVersion: '1'},
    spec: {ingress},
  });

test.each<[string, unknown, string[]]>([
  ['with a certificate', {tls: {mode: 'Secret', secretName: 'cert'}}, ['Secret sync/cert']],
  ['without one', {tls: {mode: 'None', secretName: 'cert'}}, []],
  ['at a Gateway', {gatewayRef: {name: 'g', namespace: 'infra'}}, ['Gateway infra/g']],
  ['at a Gateway beside it', {gatewayRef: {name: 'g'}}, ['Gateway sync/g']],
  ['that is off', {enabled: false, tls: {mode: 'Secret', secretName: 'cert'}, gatewayRef: {name: 'g'}}, []],
  ['that is no object', 'nonsense', []],
])('of an ingress %s is read', async (_what, ingress, expected) => {
  const asked: string[] = [];
  const read = ({kind, namespace, name}: Key): Promise<undefined> => {
    asked.push(`${kind} ${namespace ?? ''}/${name}`);
    return Promise.resolve(undefined);
  };
  await observeEntrance(regionOf(ingress), [], {read, serves: () => Promise.resolve(true), unseen: () => []}, never);
  expect(asked).toEqual(expected);
});

test('what cannot be read is unknown, each on its own', async () => {
  const fails = (): Promise<never> => Promise.reject(new Error('away'));
  const region = regionOf({tls: {mode: 'Secret', secretName: 'cert'}});
  expect(await observeEntrance(region, [], {read: fails, serves: fails, unseen: () => ['green']}, never)).toEqual({
    gatewayApi: {kind: 'unknown', why: 'away'},
    gateway: known(undefined),
    certificate: {kind: 'unknown', why: 'away'},
    own: {region: 'sync/eu', uid: 'region', age: '[null,"sync","eu"]', hosts: []},
    others: [],
    unseen: ['green'],
  });
});

test('a read that the end of the pass cuts off is no answer', async () => {
  const over = AbortSignal.abort();
  const fails = (): Promise<never> => Promise.reject(new Error('aborted'));
  await expect(observeEntrance(regionOf({}), [], {read: fails, serves: fails, unseen: () => []}, over)).rejects.toThrow(
    'aborted',
  );
});

const gatewayOf = (...listeners: readonly object[]): KubeObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: {name: 'g', uid: 'g', resourceVersion: '1'},
  spec: {listeners},
});
const HOST = 'eu.sync.example.com';

describe('a host at a Gateway', () => {
  test.each([
    ['with HTTP alone', [{name: 'web', protocol: 'HTTP'}], undefined, 'http'],
    [
      'with both',
      [
        {name: 'web', protocol: 'HTTP'},
        {name: 'tls', protocol: 'HTTPS'},
      ],
      undefined,
      'https',
    ],
    [
      'with both, and HTTP named',
      [
        {name: 'web', protocol: 'HTTP'},
        {name: 'tls', protocol: 'HTTPS'},
      ],
      'web',
      'http',
    ],
    ['with HTTPS for its domain', [{name: 'tls', protocol: 'HTTPS', hostname: '*.example.com'}], undefined, 'https'],
    ['with HTTPS for others', [{name: 'tls', protocol: 'HTTPS', hostname: '*.example.org'}], undefined, undefined],
    ['that has no listeners', [], undefined, undefined],
  ])('%s is reached', (_what, listeners, sectionName, expected) => {
    expect(schemeAt(gatewayOf(...listeners), sectionName, HOST)).toBe(expected);
  });

  test('keeps its URL while the Gateway cannot be read', () => {
    const region = new SimulatedRegion({region: 'eu-west', ingress: {host: HOST, gatewayRef: {name: 'g'}}});
    region.gateway = known(gatewayOf({name: 'tls', protocol: 'HTTPS'}));
    region.bringUp();
    expect(region.status.endpoints).toEqual({device: `https://${HOST}`});
    region.gateway = {kind: 'unknown', why: 'forbidden'};
    region.pass();
    expect(region.status.endpoints).toEqual({device: `https://${HOST}`});
  });

  test('waits while nobody knows whether there are Gateways, and what it has stays', () => {
    const region = new SimulatedRegion({region: 'eu-west', ingress: {host: HOST, gatewayRef: {name: 'g'}}}).bringUp();
    region.gatewayApi = {kind: 'unknown', why: 'away'};
    expect(region.pass()).toEqual([]);
    expect(region.names('HTTPRoute')).toEqual(['eu-device-api']);
    expect(region.status.phase).toBe('Ready');
    expect(region.status.conditions?.find(({type}) => type === 'RouteReady')).toMatchObject({
      status: 'Unknown',
      reason: 'NotReadable',
      message: 'the API server does not tell of the Gateway API: away',
    });
  });
});

import {describe, expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {takenHosts} from './host-taken.ts';
import {KINDS} from './kinds.ts';
import {decodeRegion} from './region.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const HOST = 'eu.sync.example.com';
const ADMIN = 'eu.admin.example.com';
const [OLD, NEW] = ['2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z'];

const regionOf = (namespace: string, created: string, ingress: object = {host: HOST}): KubeObject => ({
  apiVersion: 'pisync.io/v1alpha1',
  kind: 'PiSyncRegion',
  metadata: {name: 'eu', namespace, uid: namespace, resourceVersion: '1', creationTimestamp: created},
  spec: {ingress},
});

const routeOf = (namespace: string, kind: (typeof KINDS)['ingress' | 'httpRoute'], spec: object): KubeObject => ({
  ...kind,
  metadata: {
    name: 'eu-device-api',
    namespace,
    uid: `${namespace}-route`,
    resourceVersion: '1',
    ownerReferences: [
      {apiVersion: 'pisync.io/v1alpha1', kind: 'PiSyncRegion', name: 'eu', uid: namespace, controller: true},
    ],
  },
  spec,
});

const ingressOf = (namespace: string, host: string, ingressClassName?: string): KubeObject =>
  routeOf(namespace, KINDS.ingress, {...(ingressClassName === undefined ? {} : {ingressClassName}), rules: [{host}]});

const httpRouteOf = (namespace: string, host: string, gateway: object): KubeObject =>
  routeOf(namespace, KINDS.httpRoute, {parentRefs: [gateway], hostnames: [host]});

const taken = (mine: KubeObject, other: KubeObject, ...routes: readonly KubeObject[]) =>
  takenHosts(decodeRegion(mine), [mine, other], routes);

test.each<[string, KubeObject, KubeObject[]]>([
  ['older, and asks for it later', regionOf('me', OLD), [ingressOf('them', HOST, 'nginx')]],
  ['younger', regionOf('me', NEW), [ingressOf('them', HOST, 'nginx')]],
  [
    'one that has another route',
    regionOf('me', OLD),
    [ingressOf('me', ADMIN, 'nginx'), ingressOf('them', HOST, 'nginx')],
  ],
  ['one that wants it for people', regionOf('me', OLD, {adminHost: HOST}), [ingressOf('them', HOST, 'nginx')]],
  [
    'one that names the class',
    regionOf('me', OLD, {host: HOST, className: 'nginx'}),
    [ingressOf('them', HOST, 'nginx')],
  ],
  [
    'one that names a class where none is given',
    regionOf('me', OLD, {host: HOST, className: 'nginx'}),
    [ingressOf('them', HOST)],
  ],
  [
    'one at the same Gateway',
    regionOf('me', OLD, {host: HOST, gatewayRef: {name: 'g', namespace: 'them'}}),
    [httpRouteOf('them', HOST, {name: 'g'})],
  ],
  [
    'younger, whose route came at the same time',
    regionOf('me', NEW),
    [ingressOf('me', HOST, 'nginx'), ingressOf('them', HOST, 'nginx')],
  ],
])('a host that a live route leads to another region is not for a region that is %s', (_what, mine, routes) => {
  expect(taken(mine, regionOf('them', mine.metadata.creationTimestamp === OLD ? NEW : OLD), ...routes)).toEqual([
    {host: HOST, by: 'them/eu'},
  ]);
});

test.each<[string, KubeObject, KubeObject[]]>([
  ['an older region only asks for', regionOf('me', NEW), []],
  ['an older region asks for that has a route for another one', regionOf('me', NEW), [ingressOf('them', ADMIN)]],
  ['leads to it already, although an older one asks', regionOf('me', NEW), [ingressOf('me', HOST, 'nginx')]],
  [
    'leads to both, of which it is the older',
    regionOf('me', OLD),
    [ingressOf('me', HOST, 'nginx'), ingressOf('them', HOST, 'nginx')],
  ],
  [
    'leads to another one at another class',
    regionOf('me', OLD, {host: HOST, className: 'internal'}),
    [ingressOf('them', HOST, 'nginx')],
  ],
  [
    'leads to another one at another class than the default one',
    regionOf('me', OLD),
    [ingressOf('me', ADMIN, 'nginx'), ingressOf('them', HOST, 'internal')],
  ],
  ['leads to another one at a Gateway', regionOf('me', OLD), [httpRouteOf('them', HOST, {name: 'g'})]],
  [
    'leads to another one at another Gateway',
    regionOf('me', OLD, {host: HOST, gatewayRef: {name: 'g'}}),
    [httpRouteOf('them', HOST, {name: 'g'})],
  ],
  ['it does not route', regionOf('me', OLD, {host: HOST, enabled: false}), [ingressOf('them', HOST)]],
])('a region may have a host that %s', (_what, mine, routes) => {
  expect(taken(mine, regionOf('them', mine.metadata.creationTimestamp === OLD ? NEW : OLD), ...routes)).toEqual([]);
});

const hostIn = (region: SimulatedRegion, name: string): unknown =>
  JSON.stringify(region.find('Ingress', name)?.['spec'] ?? null).match(/"host":"([^"]*)"/)?.[1];

describe('a region that asks for the host of another', () => {
  const routed = {region: 'eu-west', ingress: {host: HOST, adminHost: ADMIN}};
  const wish = {ingress: {host: 'theirs.example.com', adminHost: 'new.admin.example.com'}};
  const theirs = [{host: 'theirs.example.com', by: 'b/victim'}];

  test('keeps the route that it had, and says whose the host is', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change(wish);
    region.taken = theirs;
    region.settle();
    expect([hostIn(region, 'eu-device-api'), hostIn(region, 'eu-admin-api')]).toEqual([HOST, 'new.admin.example.com']);
    expect(region.status).toMatchObject({
      phase: 'Degraded',
      message: 'host theirs.example.com is already that of region b/victim; give one of the two another host',
      endpoints: {device: `http://${HOST}`, admin: 'http://new.admin.example.com'},
    });
    region.taken = [];
    region.settle();
    expect(hostIn(region, 'eu-device-api')).toBe('theirs.example.com');
    expect(region.status.phase).toBe('Ready');
  });

  test('gets no route if it is new', () => {
    const region = new SimulatedRegion({...routed, ...wish});
    region.taken = theirs;
    region.bringUp();
    expect(region.names('Ingress')).toEqual(['eu-admin-api']);
    expect(region.status.endpoints).toEqual({admin: 'http://new.admin.example.com'});
    expect(region.status.conditions?.find(({type}) => type === 'RouteReady')).toMatchObject({
      status: 'False',
      reason: 'HostTaken',
    });
  });

  test('gives the route up that leads there', () => {
    const region = new SimulatedRegion({...routed, ...wish}).bringUp();
    expect(hostIn(region, 'eu-device-api')).toBe('theirs.example.com');
    region.taken = theirs;
    region.settle();
    expect(region.names('Ingress')).toEqual(['eu-admin-api']);
    expect(region.status.conditions?.find(({type}) => type === 'RouteReady')?.reason).toBe('HostTaken');
  });

  test('keeps its Ingress when it asks for another class at the same time', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change({ingress: {...wish.ingress, className: 'nginx'}});
    region.taken = theirs;
    region.settle();
    expect(hostIn(region, 'eu-device-api')).toBe(HOST);
  });

  test('keeps its Ingress on the way to a Gateway where the host is taken', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change({ingress: {...wish.ingress, gatewayRef: {name: 'g'}}});
    region.taken = theirs;
    region.settle();
    expect([hostIn(region, 'eu-device-api'), region.names('HTTPRoute')]).toEqual([HOST, ['eu-admin-api']]);
  });
});

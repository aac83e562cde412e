import {describe, expect, test} from '@jest/globals';
import {specSchema} from '../api/v1alpha1/spec.ts';
import {type RegionStatus} from '../api/v1alpha1/status.ts';
import {type KubeObject} from '../kube/object.ts';
import {Children} from './children.ts';
import {contextOf} from './context.ts';
import {regionController} from './controller.ts';
import {ledBy} from './entrances.ts';
import {type HostHolder, holderOf, judgeHosts} from './host-taken.ts';
import {KINDS} from './kinds.ts';
import {RELEASE, SimulatedRegion} from './testing/simulated-region.ts';

const HOST = 'eu.sync.example.com';
const ADMIN = 'eu.admin.example.com';
const [OLD, NEW] = ['2026-02-01T00:00:00Z', '2026-03-02T00:00:00Z'];

const regionOf = (namespace: string, created: string, ingress: object, status: RegionStatus = {}): KubeObject => ({
  apiVersion: 'pisync.io/v1alpha1',
  kind: 'PiSyncRegion',
  metadata: {name: 'eu', namespace, uid: namespace, resourceVersion: '1', creationTimestamp: created},
  spec: {region: 'eu-west', ingress},
  status,
});

const ingressOf = (ingressClassName: string): KubeObject => ({
  ...KINDS.ingress,
  metadata: {name: 'eu-device-api', namespace: 'me', uid: 'route', resourceVersion: '1'},
  spec: {ingressClassName, rules: [{host: HOST}]},
});

const NGINX = {host: HOST, className: 'nginx'};
const GATEWAY = {host: HOST, gatewayRef: {name: 'g', namespace: 'them'}};

interface Case {
  readonly mine?: object;
  readonly has?: NonNullable<RegionStatus['hosts']>;
  readonly live?: KubeObject;
  readonly theirs?: object;
  readonly theyHave?: RegionStatus;
}

const taken = ({mine = {host: HOST}, has, live, theirs = {host: HOST}, theyHave}: Case, isOlder: boolean) => {
  const own = regionOf('me', isOlder ? OLD : NEW, mine, has && {hosts: has});
  const context = contextOf(
    {name: 'eu', namespace: 'me', status: {}},
    specSchema.parse(own['spec']),
    RELEASE,
    new Children(live === undefined ? [] : [live]),
    0,
  );
  const other = regionOf('them', isOlder ? NEW : OLD, theirs, theyHave);
  return judgeHosts(context, holderOf(own), [holderOf(other)], []).taken.map(({by}) => by);
};

describe.each([
  ['older', true],
  ['younger', false],
])('for a region that is %s', (_what, isOlder) => {
  test.each<[string, Case]>([
    ['another has', {theyHave: {hosts: [NGINX]}}],
    ['another has, at the class that is named', {mine: NGINX, theyHave: {hosts: [NGINX]}}],
    ['another has, at the class that was given', {live: ingressOf('nginx'), theyHave: {hosts: [NGINX]}}],
    ['another has, at a class that is not known yet', {mine: NGINX, theyHave: {hosts: [{host: HOST}]}}],
    ['another has, at the same Gateway', {mine: GATEWAY, theyHave: {hosts: [{host: HOST, gateway: 'them/g'}]}}],
    ['another has, and it wants it for people', {mine: {adminHost: HOST}, theyHave: {hosts: [NGINX]}}],
    ['another has, and it itself elsewhere', {has: [{host: HOST, gateway: 'them/g'}], theyHave: {hosts: [NGINX]}}],
    [
      'another has, which does not want it any more',
      {theirs: {host: 'x.example.com'}, theyHave: {hosts: [NGINX], endpoints: {device: `http://${HOST}`}}},
    ],
    [
      'another has, at the class that its own Ingress was given just now',
      {has: [{host: HOST}], live: ingressOf('nginx'), theyHave: {hosts: [NGINX]}},
    ],
  ])('a host is taken that %s', (_case, given) => {
    expect(taken(given, isOlder)).toEqual(['them/eu']);
  });

  test.each<[string, Case]>([
    ['another only asks for', {}],
    ['another asks for that has another host', {theyHave: {hosts: [{host: ADMIN, className: 'nginx'}]}}],
    ['is its own, whoever asks for it', {has: [NGINX], live: ingressOf('nginx')}],
    ['is its own at a class that is not known', {has: [{host: HOST}], theyHave: {hosts: [NGINX]}}],
    [
      'is its own at a class, and another’s at one that is not known',
      {mine: NGINX, has: [NGINX], theyHave: {hosts: [{host: HOST}]}},
    ],
    ['another has at another class', {mine: {host: HOST, className: 'internal'}, theyHave: {hosts: [NGINX]}}],
    ['another has at another class than was given', {live: ingressOf('internal'), theyHave: {hosts: [NGINX]}}],
    ['another has at a Gateway', {theyHave: {hosts: [{host: HOST, gateway: 'them/g'}]}}],
    [
      'another has at another Gateway',
      {mine: {host: HOST, gatewayRef: {name: 'g'}}, theyHave: {hosts: [{host: HOST, gateway: 'them/g'}]}},
    ],
    ['it does not route', {mine: {host: HOST, enabled: false}, theyHave: {hosts: [NGINX]}}],
  ])('a host is free that %s', (_case, given) => {
    expect(taken(given, isOlder)).toEqual([]);
  });

  test('a host that two got at the same moment is the older one’s', () => {
    const given = {has: [NGINX], live: ingressOf('nginx'), theyHave: {hosts: [NGINX]}};
    expect(taken(given, isOlder)).toEqual(isOlder ? [] : ['them/eu']);
  });
});

const THEIRS = 'theirs.example.com';
const routed = {region: 'eu-west', ingress: {host: HOST, adminHost: ADMIN}};

/** An older region that has hosts. */
const victim = (...hosts: HostHolder['hosts']): HostHolder => ({region: 'b/victim', uid: 'victim', age: '', hosts});

const hostIn = (region: SimulatedRegion, name: string): unknown =>
  JSON.stringify(region.find('Ingress', name)?.['spec'] ?? null).match(/"host":"([^"]*)"/)?.[1];

const reasonOf = (region: SimulatedRegion): string | undefined =>
  region.status.conditions?.find(({type}) => type === 'RouteReady')?.reason;

describe('a region that asks for the host of another', () => {
  const wish = {ingress: {host: THEIRS, adminHost: 'new.admin.example.com'}};

  test('keeps the route that it had, and says whose the host is', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change(wish);
    region.others = [victim({host: THEIRS, className: 'nginx'})];
    region.settle();
    expect([hostIn(region, 'eu-device-api'), hostIn(region, 'eu-admin-api')]).toEqual([HOST, 'new.admin.example.com']);
    expect(region.status).toMatchObject({
      phase: 'Degraded',
      message:
        'host theirs.example.com is already that of region b/victim at Ingress class nginx; give one of the two another host',
      endpoints: {device: `http://${HOST}`, admin: 'http://new.admin.example.com'},
      hosts: [{host: 'new.admin.example.com'}, {host: HOST}],
    });
    region.others = [];
    region.settle();
    expect(hostIn(region, 'eu-device-api')).toBe(THEIRS);
    expect(region.status.phase).toBe('Ready');
    expect(region.status.hosts).toEqual([{host: THEIRS}, {host: 'new.admin.example.com'}]);
  });

  test('gets no route if it is new', () => {
    const region = new SimulatedRegion({...routed, ...wish});
    region.others = [victim({host: THEIRS})];
    region.bringUp();
    expect(region.names('Ingress')).toEqual(['eu-admin-api']);
    expect(region.status.endpoints).toEqual({admin: 'http://new.admin.example.com'});
    expect(region.status.hosts).toEqual([{host: 'new.admin.example.com'}]);
    expect(region.status.conditions?.find(({type}) => type === 'RouteReady')).toMatchObject({
      status: 'False',
      reason: 'HostTaken',
    });
  });

  test('gets none while the regions of a namespace are not seen, and keeps those that it has', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.unseen = ['green'];
    region.objects.delete('networking.k8s.io/v1/Ingress/sync/eu-device-api');
    region.settle();
    expect([hostIn(region, 'eu-device-api'), region.status.phase]).toEqual([HOST, 'Ready']);
    region.change(wish);
    region.settle();
    expect([hostIn(region, 'eu-device-api'), hostIn(region, 'eu-admin-api')]).toEqual([HOST, ADMIN]);
    expect(region.status).toMatchObject({
      message: 'whose host theirs.example.com is cannot be told: waits until the regions of namespace green are seen',
      hosts: [{host: HOST}, {host: ADMIN}],
    });
    region.unseen = [];
    region.settle();
    expect(region.status.hosts).toEqual([{host: THEIRS}, {host: 'new.admin.example.com'}]);
  });

  test('gives the route up that leads there, if both got it and the other one is older', () => {
    const region = new SimulatedRegion({...routed, ...wish}).bringUp();
    expect(hostIn(region, 'eu-device-api')).toBe(THEIRS);
    region.others = [victim({host: THEIRS})];
    region.settle();
    expect(region.names('Ingress')).toEqual(['eu-admin-api']);
    expect(region.status.hosts).toEqual([{host: 'new.admin.example.com'}]);
    expect(reasonOf(region)).toBe('HostTaken');
  });

  test('keeps its Ingress when it asks for another class at the same time', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change({ingress: {...wish.ingress, className: 'nginx'}});
    region.others = [victim({host: THEIRS, className: 'nginx'})];
    region.settle();
    expect(hostIn(region, 'eu-device-api')).toBe(HOST);
  });

  test('keeps its Ingress on the way to a Gateway where the host is taken', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change({ingress: {...wish.ingress, gatewayRef: {name: 'g'}}});
    region.others = [victim({host: THEIRS, gateway: 'sync/g'})];
    region.settle();
    expect([hostIn(region, 'eu-device-api'), region.names('HTTPRoute')]).toEqual([HOST, ['eu-admin-api']]);
  });

  test('gets none by what it does to a route that stays untouched', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change(wish);
    region.others = [victim({host: THEIRS, className: 'nginx'})];
    region.settle();
    const route = region.find('Ingress', 'eu-device-api');
    if (route === undefined) throw new Error('no Ingress');
    region.objects.set('networking.k8s.io/v1/Ingress/sync/eu-device-api', {
      ...route,
      spec: {ingressClassName: 'nginx', rules: [{host: 'third.example.com'}]},
    });
    region.settle();
    expect(region.status.hosts).toEqual([{host: 'new.admin.example.com'}]);
    expect(region.status.endpoints).toEqual({admin: 'http://new.admin.example.com'});
  });
});

describe('a host that another region has elsewhere', () => {
  const nginx = {region: 'eu-west', ingress: {host: HOST, className: 'nginx'}};

  test.each([
    ['another class', {className: 'internal'}, {className: 'internal'}],
    ['a Gateway', {gatewayRef: {name: 'g'}}, {gateway: 'sync/g'}],
    ['the default class, where the other one has the host at another one', {}, {className: 'internal'}],
  ])('stays routed where it is when it is wanted there, at %s', (_what, wish, where) => {
    const region = new SimulatedRegion(nginx).bringUp();
    const before = region.find('Ingress', 'eu-device-api');
    region.others = [victim({host: HOST, ...where})];
    region.settle();
    expect(region.status.phase).toBe('Ready');
    region.change({ingress: {host: HOST, ...wish}});
    region.settle();
    expect(region.find('Ingress', 'eu-device-api')).toEqual(before);
    expect(region.names('HTTPRoute')).toEqual([]);
    expect(region.status).toMatchObject({
      phase: 'Degraded',
      endpoints: {device: `http://${HOST}`},
      hosts: [{host: HOST, className: 'nginx'}],
    });
    expect(reasonOf(region)).toBe('HostTaken');
  });
});

describe('a region has its hosts', () => {
  const kept = [{host: HOST}, {host: ADMIN}];

  test.each<[string, (region: SimulatedRegion) => void]>([
    ['suspended', (region) => region.change({suspend: true})],
    ['invalid', (region) => region.change({region: 'another'})],
    ['deleted and held', (region) => (region.isDeleted = true)],
    ['without its routes', (region) => region.failures.set('Ingress/eu-device-api', 'refused')],
  ])('also while it is %s', (_what, change) => {
    const region = new SimulatedRegion(routed).bringUp();
    change(region);
    region.objects.delete('networking.k8s.io/v1/Ingress/sync/eu-device-api');
    region.settle();
    expect(region.status.hosts).toEqual(expect.arrayContaining(kept));
  });

  test('also while its Ingress is made again with the default class', () => {
    const region = new SimulatedRegion({...routed, ingress: {host: HOST, className: 'nginx'}}).bringUp();
    region.change({ingress: {host: HOST}});
    region.pass();
    expect(region.pass()).toContain('Ingress/eu-device-api');
    expect(region.names('Ingress')).toEqual([]);
    expect(region.status.hosts).toEqual([{host: HOST}, {host: HOST, className: 'nginx'}]);
    expect(region.status).not.toHaveProperty('endpoints');
  });

  test('until it does not want them any more', () => {
    const region = new SimulatedRegion(routed).bringUp();
    region.change({ingress: {...routed.ingress, enabled: false}});
    region.settle();
    expect(region.status).not.toHaveProperty('hosts');
  });

  test('at the class that the cluster gave its Ingress', () => {
    const region = new SimulatedRegion({...routed, ingress: {host: HOST}}).bringUp();
    const route = region.find('Ingress', 'eu-device-api');
    if (route === undefined) throw new Error('no Ingress');
    region.objects.set('networking.k8s.io/v1/Ingress/sync/eu-device-api', {
      ...route,
      spec: {...(route['spec'] as object), ingressClassName: 'nginx'},
    });
    region.settle();
    expect(region.status.hosts).toEqual([{host: HOST, className: 'nginx'}]);
  });
});

test('a host that is not routed is no endpoint', () => {
  const region = new SimulatedRegion({...routed, ingress: {host: HOST, gatewayRef: {name: 'g'}}});
  region.gatewayApi = {kind: 'known', value: false};
  region.bringUp();
  expect(region.names('HTTPRoute')).toEqual([]);
  expect(region.status).not.toHaveProperty('endpoints');
  expect(region.status.hosts).toEqual([{host: HOST, gateway: 'sync/g'}]);
});

describe('no route leads to a host of which no status tells', () => {
  /** What routes lead to and no other region can know. */
  const untold = (region: SimulatedRegion): readonly unknown[] =>
    [...region.objects.values()]
      .filter(({kind}) => kind === 'Ingress' || kind === 'HTTPRoute')
      .flatMap((route) => ledBy(route))
      .filter(({host}) => region.status.hosts?.some((has) => has.host === host) !== true);

  const moves: readonly (readonly [string, Record<string, unknown>])[] = [
    ['another host', {ingress: {host: THEIRS, adminHost: ADMIN}}],
    ['another host at another class', {ingress: {host: THEIRS, className: 'nginx'}}],
    ['another host at a Gateway', {ingress: {host: THEIRS, gatewayRef: {name: 'g'}}}],
  ];

  test('when the server takes none of a new region', () => {
    const region = new SimulatedRegion(routed);
    region.takesStatus = false;
    region.bringUp();
    expect([...region.names('Service')]).toContain('eu-device-api');
    expect(untold(region)).toEqual([]);
    region.takesStatus = true;
    region.bringUp();
    expect([hostIn(region, 'eu-device-api'), hostIn(region, 'eu-admin-api')]).toEqual([HOST, ADMIN]);
  });

  test.each(moves)('when it takes none of a change to %s, and the region is suspended then', (_what, wish) => {
    const region = new SimulatedRegion(routed).bringUp();
    region.takesStatus = false;
    region.change(wish);
    region.settle();
    expect(untold(region)).toEqual([]);
    region.change({suspend: true});
    region.takesStatus = true;
    region.settle();
    expect(region.status.phase).toBe('Suspended');
    expect(untold(region)).toEqual([]);
    region.change({suspend: false});
    region.settle();
    expect(untold(region)).toEqual([]);
    expect(region.status.hosts).toContainEqual(expect.objectContaining({host: THEIRS}));
  });

  test('also where the definition in the cluster takes no more than the least of it', () => {
    const region = new SimulatedRegion(routed).bringUp();
    const {hosts, ...before} = region.status;
    const [least, summary] = regionController(RELEASE, {monotonicMs: () => 0}).minimalStatuses?.(region.status) ?? [];
    expect(least).toMatchObject({hosts, message: before.message});
    // A definition from before there were hosts.
    expect(summary).toEqual({...least, hosts: undefined});
    expect(summary).not.toHaveProperty('hosts');
  });
});

test('of two regions that have a host written down at the same moment the younger one makes no route, and gives it up', () => {
  const [young, old] = [new SimulatedRegion(routed), new SimulatedRegion(routed)];
  const wish = {ingress: {host: THEIRS, adminHost: ADMIN}};
  const hosts = [{host: THEIRS}];
  for (const region of [young, old]) {
    region.bringUp();
    region.change(wish);
    region.pass();
    expect(region.status.hosts).toContainEqual(hosts[0]);
    expect(hostIn(region, 'eu-device-api')).toBe(HOST);
  }
  old.others = [{region: 'b/young', uid: 'young', age: '~', hosts}];
  young.others = [victim(...hosts)];
  for (const region of [young, old]) region.settle();
  expect([hostIn(old, 'eu-device-api'), old.status.phase]).toEqual([THEIRS, 'Ready']);
  expect([hostIn(young, 'eu-device-api'), reasonOf(young)]).toEqual([HOST, 'HostTaken']);
  expect(young.status.hosts).toEqual([{host: ADMIN}, {host: HOST}]);
});

test.each<[string, RegionStatus['hosts']]>([
  ['no hosts', undefined],
  ['one of its hosts', [{host: ADMIN}]],
])(
  'an operator that finds a status with %s leaves the routes that stand, and writes the hosts down',
  (_what, hosts) => {
    const region = new SimulatedRegion(routed).bringUp();
    const {hosts: all, ...before} = region.status;
    const routes = region.names('Ingress').map((name) => region.find('Ingress', name));
    region.status = hosts === undefined ? before : {...before, hosts};
    for (let pass = 0; pass < 3; pass++) {
      expect(region.pass()).toEqual([]);
      expect(region.status).toMatchObject({phase: 'Ready', endpoints: before.endpoints, hosts: all});
      expect(region.names('Ingress').map((name) => region.find('Ingress', name))).toEqual(routes);
    }
    expect(region.status.pendingChanges).toBeUndefined();
  },
);

import {describe, expect, test} from '@jest/globals';
import {keyOf, keyText} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const HOST = 'eu.sync.example.com';
const CLASS = 'nginx';
const atIngress = {region: 'eu-west', ingress: {host: HOST, className: CLASS}};
const atGateway = (name: string, more: object = {}) => ({
  ...atIngress,
  ingress: {host: HOST, gatewayRef: {name, ...more}},
});

const routes = (region: SimulatedRegion) => [
  ...region.names('HTTPRoute').map(() => 'HTTPRoute'),
  ...region.names('Ingress').map(() => 'Ingress'),
];

const gatewaysOf = (region: SimulatedRegion): readonly string[] =>
  // Of our own manifest.
  (
    region.find('HTTPRoute', 'eu-device-api')?.['spec'] as {parentRefs: {name: string; sectionName?: string}[]}
  ).parentRefs.map(({name, sectionName}) => (sectionName === undefined ? name : `${name}/${sectionName}`));

const answer = (region: SimulatedRegion, name: string, status: 'True' | 'False'): void => {
  const observedGeneration = region.find('HTTPRoute', 'eu-device-api')?.metadata.generation;
  region.set('HTTPRoute', 'eu-device-api', {
    parents: [{parentRef: {name}, conditions: [{type: 'Accepted', status, observedGeneration}]}],
  });
};

describe('an HTTPRoute stays beside the Ingress in its place', () => {
  const moved = (): SimulatedRegion => {
    const region = new SimulatedRegion(atGateway('g')).bringUp();
    region.change(atIngress);
    return region;
  };

  test('until that has an address', () => {
    const region = moved();
    region.settle();
    expect(routes(region)).toEqual(['HTTPRoute', 'Ingress']);
    expect(region.status).toMatchObject({
      phase: 'Ready',
      hosts: [
        {host: HOST, className: CLASS},
        {host: HOST, gateway: 'sync/g'},
      ],
      pendingChanges: [
        {
          component: 'routes',
          reason: 'HTTPRoute eu-device-api stays until the Ingress has an address, or is ten minutes old',
        },
      ],
    });
    region.set('Ingress', 'eu-device-api', {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}});
    region.settle();
    expect(routes(region)).toEqual(['Ingress']);
    expect(region.status.hosts).toEqual([{host: HOST, className: CLASS}]);
    expect(region.status.pendingChanges).toBeUndefined();
  });

  test('for ten minutes where no controller gives one', () => {
    const region = moved();
    region.settle();
    region.now = new Date(region.now.getTime() + 590_000);
    region.pass();
    expect(routes(region)).toEqual(['HTTPRoute', 'Ingress']);
    const {next} = region;
    if (next.kind !== 'after') throw new Error('nobody looks again');
    expect(next.delayMs).toBeLessThan(10_000);
    region.now = new Date(region.now.getTime() + next.delayMs);
    region.settle();
    expect(routes(region)).toEqual(['Ingress']);
  });

  test('for as long as that has neither an address nor a class', () => {
    const region = moved();
    region.change({ingress: {host: HOST}});
    region.settle();
    region.now = new Date(region.now.getTime() + 700_000);
    region.settle();
    expect(routes(region)).toEqual(['HTTPRoute', 'Ingress']);
    expect(region.status).toMatchObject({
      phase: 'Ready',
      pendingChanges: [
        {
          reason:
            'HTTPRoute eu-device-api stays until the Ingress has an address, which may never come without a class: name one in ingress.className',
        },
      ],
    });
    region.change(atIngress);
    region.settle();
    expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: CLASS}});
    region.now = new Date(region.now.getTime() + 700_000);
    region.settle();
    expect(routes(region)).toEqual(['Ingress']);
  });

  test('while that cannot be written', () => {
    const region = moved();
    region.failures.set('Ingress/eu-device-api', 'refused');
    region.settle();
    expect(routes(region)).toEqual(['HTTPRoute']);
    expect(region.status.endpoints).toEqual({device: `http://${HOST}`});
  });

  test('unless nothing is to be routed', () => {
    const region = moved();
    region.change({ingress: {host: HOST, enabled: false}});
    region.settle();
    expect(routes(region)).toEqual([]);
  });
});

describe('the endpoint is the host of the route that works', () => {
  const OTHER = 'other.sync.example.com';
  const endpoint = (region: SimulatedRegion) => region.status.endpoints?.device;

  test('while a Gateway has not accepted the HTTPRoute with another host', () => {
    const region = new SimulatedRegion(atIngress).bringUp();
    region.set('Ingress', 'eu-device-api', {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}});
    region.settle();
    region.change({ingress: {host: OTHER, gatewayRef: {name: 'misspelt'}}});
    region.settle();
    expect(routes(region)).toEqual(['HTTPRoute', 'Ingress']);
    expect(endpoint(region)).toBe(`http://${HOST}`);
    answer(region, 'misspelt', 'True');
    region.settle();
    expect(routes(region)).toEqual(['HTTPRoute']);
    expect(endpoint(region)).toBe(`http://${OTHER}`);
  });

  test('while the Ingress with another host has no address', () => {
    const region = new SimulatedRegion(atGateway('g')).bringUp();
    answer(region, 'g', 'True');
    region.settle();
    region.change({ingress: {host: OTHER, className: CLASS}});
    region.settle();
    expect(routes(region)).toEqual(['HTTPRoute', 'Ingress']);
    expect(endpoint(region)).toBe(`http://${HOST}`);
    region.set('Ingress', 'eu-device-api', {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}});
    region.settle();
    expect(routes(region)).toEqual(['Ingress']);
    expect(endpoint(region)).toBe(`http://${OTHER}`);
  });
});

describe('another Gateway', () => {
  test('gets the route beside the former one, until it has accepted it', () => {
    const region = new SimulatedRegion(atGateway('first')).bringUp();
    answer(region, 'first', 'True');
    region.change(atGateway('misspelt'));
    region.settle();
    expect(gatewaysOf(region)).toEqual(['misspelt', 'first']);
    expect(region.status.hosts).toEqual([
      {host: HOST, gateway: 'sync/misspelt'},
      {host: HOST, gateway: 'sync/first'},
    ]);
    region.change(atGateway('second'));
    region.settle();
    answer(region, 'misspelt', 'True');
    region.settle();
    expect(gatewaysOf(region)).toEqual(['second', 'misspelt', 'first']);
    answer(region, 'second', 'True');
    region.settle();
    expect(gatewaysOf(region)).toEqual(['second']);
    expect(region.status.hosts).toEqual([{host: HOST, gateway: 'sync/second'}]);
  });

  test('of the same name in another namespace has not accepted it with the first one', () => {
    const region = new SimulatedRegion(atGateway('g')).bringUp();
    answer(region, 'g', 'True');
    region.change(atGateway('g', {namespace: 'infra'}));
    region.settle();
    answer(region, 'g', 'True');
    region.settle();
    expect(region.status.hosts).toEqual([
      {host: HOST, gateway: 'infra/g'},
      {host: HOST, gateway: 'sync/g'},
    ]);
  });

  test('does not keep one that somebody else has added', () => {
    const region = new SimulatedRegion(atGateway('first')).bringUp();
    const live = region.find('HTTPRoute', 'eu-device-api');
    if (live === undefined) throw new Error('no HTTPRoute');
    region.objects.set(keyText(keyOf(live)), {
      ...live,
      spec: {...(live['spec'] as object), parentRefs: [{name: 'first'}, {name: 'added'}]},
    });
    region.settle();
    expect(gatewaysOf(region)).toEqual(['first']);
  });

  test('takes another host without the former one', () => {
    const region = new SimulatedRegion(atGateway('first')).bringUp();
    region.change({ingress: {host: 'other.example.com', gatewayRef: {name: 'second'}}});
    region.settle();
    expect(gatewaysOf(region)).toEqual(['second']);
  });
});

test('another listener of the same Gateway takes the place of the first at once', () => {
  const region = new SimulatedRegion(atGateway('g', {sectionName: 'web'})).bringUp();
  region.change(atGateway('g', {sectionName: 'tls'}));
  region.settle();
  expect(gatewaysOf(region)).toEqual(['g/tls']);
});

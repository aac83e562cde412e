import {describe, expect, test} from '@jest/globals';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

const HOST = 'eu.sync.example.com';
const ADDRESS = {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}};
const FINALIZER = 'ingress.k8s.aws/resources';
const NAME = 'eu-device-api';
const WAITS = `Ingress ${NAME} waits until the former one is gone (finalizer ${FINALIZER})`;

const atClass = (className: string) => ({ingress: {host: HOST, className}});
const atGateway = {ingress: {host: HOST, gatewayRef: {name: 'g'}}};

const routeReady = (region: SimulatedRegion) => region.status.conditions?.find(({type}) => type === 'RouteReady');

/** Its Ingress has a finalizer of a controller that makes a load balancer for each. */
const held = (): SimulatedRegion => {
  const region = new SimulatedRegion({region: 'eu-west', ...atClass('alb')}).bringUp();
  region.hold('Ingress', NAME, FINALIZER);
  return region;
};

const served = (): SimulatedRegion => {
  const region = held();
  region.set('Ingress', NAME, ADDRESS);
  region.settle();
  expect(routeReady(region)).toMatchObject({status: 'True', reason: 'AddressAssigned'});
  return region;
};

const accept = (region: SimulatedRegion): void => {
  const observedGeneration = region.find('HTTPRoute', NAME)?.metadata.generation;
  region.set('HTTPRoute', NAME, {
    parents: [{parentRef: {name: 'g'}, conditions: [{type: 'Accepted', status: 'True', observedGeneration}]}],
  });
};

const expectLaws = (region: SimulatedRegion): void => {
  for (const [index, {status, generation}] of region.statuses.entries())
    expect(brokenLaws(status, generation, region.statuses[index - 1]?.status)).toEqual([]);
};

describe('an Ingress of another class', () => {
  test('is told to be waited for as long as a finalizer keeps the former one', () => {
    const region = served();
    region.change(atClass('nginx'));
    region.settle();
    expect(region.find('Ingress', NAME)).toMatchObject({spec: {ingressClassName: 'alb'}});
    expect(region.status.pendingChanges).toEqual([{component: 'routes', reason: WAITS}]);
    expect(routeReady(region)).toMatchObject({status: 'Unknown', reason: 'AddressLost', message: WAITS});
    region.now = new Date(region.now.getTime() + 600_000);
    region.settle();
    expect(routeReady(region)).toMatchObject({status: 'False', reason: 'AddressLost', message: WAITS});
    expect(region.status.phase).toBe('Degraded');

    region.hold('Ingress', NAME);
    region.settle();
    expect(region.find('Ingress', NAME)).toMatchObject({spec: {ingressClassName: 'nginx'}});
    region.set('Ingress', NAME, ADDRESS);
    region.settle();
    expect(region.status).toMatchObject({phase: 'Ready', hosts: [{host: HOST, className: 'nginx'}]});
    expect(region.status.pendingChanges).toBeUndefined();
    expectLaws(region);
  });

  test('is waited for by a person after ten minutes, also where none ever had an address', () => {
    const region = held();
    region.change(atClass('nginx'));
    region.settle();
    expect(routeReady(region)).toMatchObject({status: 'False', reason: 'Terminating', message: WAITS});
    const sinceMs = region.now.getTime();
    while (region.status.conditions?.find(({type}) => type === 'Stalled')?.status !== 'True') {
      if (region.next.kind !== 'after') throw new Error('nobody looks again');
      region.now = new Date(region.now.getTime() + region.next.delayMs);
      region.pass();
    }
    expect(region.now.getTime() - sinceMs).toBeLessThan(610_000);
    expect(region.status.conditions.find(({type}) => type === 'Ready')).toMatchObject({reason: 'Terminating'});
    expectLaws(region);
  });
});

test('an Ingress that somebody else deletes does not count as served while a finalizer keeps it', () => {
  const region = served();
  const ingress = region.find('Ingress', NAME);
  if (ingress === undefined) throw new Error('no Ingress');
  region.objects.set(`networking.k8s.io/v1/Ingress/sync/${NAME}`, {
    ...ingress,
    metadata: {...ingress.metadata, deletionTimestamp: region.now.toISOString()},
  });
  region.settle();
  expect(region.status.pendingChanges).toEqual([{component: 'routes', reason: WAITS}]);
  expect(routeReady(region)).toMatchObject({status: 'Unknown', reason: 'AddressLost'});
});

describe('a host is the region’s until the route is gone that leads it there', () => {
  const hosts = [{host: HOST, className: 'alb'}];

  test.each<[string, (region: SimulatedRegion) => void]>([
    ['another class is wanted', (region) => region.change(atClass('nginx'))],
    ['nothing is to be routed', (region) => region.change({ingress: {...atClass('alb').ingress, enabled: false}})],
    ['no host is wanted', (region) => region.change({ingress: {}})],
    ['an older region got it too', (region) => (region.others = [{region: 'b/eu', uid: 'b', age: '', hosts}])],
    [
      'a Gateway has taken over',
      (region) => {
        region.change(atGateway);
        region.settle();
        accept(region);
      },
    ],
  ])('when %s', (_what, change) => {
    const region = served();
    change(region);
    region.settle();
    expect(region.find('Ingress', NAME)?.metadata.deletionTimestamp).toBeDefined();
    expect(region.status.hosts).toContainEqual(hosts[0]);
    region.hold('Ingress', NAME);
    region.settle();
    expect(region.status.hosts ?? []).not.toContainEqual(hosts[0]);
    expectLaws(region);
  });
});

test('a Gateway keeps its route until there is an Ingress again', () => {
  const region = served();
  region.change(atGateway);
  region.settle();
  accept(region);
  region.settle();
  expect(region.find('Ingress', NAME)?.metadata.deletionTimestamp).toBeDefined();
  region.change(atClass('alb'));
  region.settle();
  expect(region.names('HTTPRoute')).toEqual([NAME]);
  region.hold('Ingress', NAME);
  region.settle();
  region.set('Ingress', NAME, ADDRESS);
  region.settle();
  expect(region.names('HTTPRoute')).toEqual([]);
  expect(region.status).toMatchObject({phase: 'Ready', hosts: [{host: HOST, className: 'alb'}]});
});

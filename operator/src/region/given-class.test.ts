import {describe, expect, test} from '@jest/globals';
import {type HostAt} from './entrances.ts';
import {type HostHolder} from './host-taken.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const HOST = 'eu.sync.example.com';
const NGINX = {host: HOST, className: 'nginx'};
const INTERNAL = {host: HOST, className: 'internal'};

/** An older region that has a host. */
const victim = (has: HostAt): HostHolder => ({region: 'b/victim', uid: 'victim', age: '', hosts: [has]});

const reasonOf = (region: SimulatedRegion): string | undefined =>
  region.status.conditions?.find(({type}) => type === 'RouteReady')?.reason;

/** What the cluster gives Ingresses that name no class. */
const byDefault = (region: SimulatedRegion, className: string): void => {
  region.webhook = (sent) =>
    sent.kind === 'Ingress' ? {...sent, spec: {ingressClassName: className, ...(sent['spec'] as object)}} : sent;
};

describe('a region whose Ingress was given a class', () => {
  const given = (): SimulatedRegion => {
    const region = new SimulatedRegion({region: 'eu-west', ingress: {host: HOST}});
    byDefault(region, 'nginx');
    region.bringUp();
    expect(region.status.hosts).toEqual([NGINX]);
    return region;
  };

  test.each<[string, (region: SimulatedRegion) => void]>([
    ['another region has it at another class', (region) => (region.others = [victim(INTERNAL)])],
    ['the regions of a namespace are not seen', (region) => (region.unseen = ['green'])],
  ])('has its host there when that is deleted and %s, whatever the default is by now', (_what, change) => {
    const region = given();
    change(region);
    byDefault(region, 'internal');
    for (let pass = 0; pass < 3; pass++) {
      region.objects.delete('networking.k8s.io/v1/Ingress/sync/eu-device-api');
      expect(region.pass()).toContain('Ingress/eu-device-api');
      expect(region.status.hosts).toEqual([NGINX]);
      expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: 'nginx'}});
      expect(region.status).toMatchObject({phase: 'Ready', endpoints: {device: `http://${HOST}`}});
    }
    region.settle();
    expect(region.status.hosts).toEqual([NGINX]);
  });

  test('gets the default class again when no other region has the host', () => {
    const region = given();
    byDefault(region, 'internal');
    region.objects.delete('networking.k8s.io/v1/Ingress/sync/eu-device-api');
    region.settle();
    expect(region.status.hosts).toEqual([INTERNAL]);
  });

  test('loses its host to an older one that got it there at the same moment', () => {
    const region = given();
    region.others = [victim(NGINX)];
    region.objects.delete('networking.k8s.io/v1/Ingress/sync/eu-device-api');
    region.settle();
    expect([region.names('Ingress'), reasonOf(region)]).toEqual([[], 'HostTaken']);
    expect(region.status).not.toHaveProperty('hosts');
  });
});

test.each<[string, Record<string, unknown>]>([
  ['goes to a Gateway', {host: HOST, gatewayRef: {name: 'edge'}}],
  ['wants a host of another region', {host: 'taken.example.com'}],
])('a region that %s before it has seen its Ingress’s class has the host of that as long as it is there', (_, next) => {
  const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
  byDefault(region, 'nginx');
  region.others = [victim({host: 'taken.example.com', className: 'nginx'})];
  region.change({ingress: {host: HOST}});
  while (region.find('Ingress', 'eu-device-api') === undefined) region.pass();
  expect(region.status.hosts).toEqual([{host: HOST}]);
  region.change({ingress: next});
  region.settle();
  expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: 'nginx'}});
  expect(region.status.hosts).toContainEqual(NGINX);
});

test('the route of a region stays where it is when it is to give its class up while the regions of a namespace are not seen', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress: NGINX}).bringUp();
  const before = region.find('Ingress', 'eu-device-api');
  region.unseen = ['green'];
  region.change({ingress: {host: HOST}});
  region.settle();
  expect(region.find('Ingress', 'eu-device-api')).toEqual(before);
  expect(region.status.hosts).toEqual([NGINX]);
  expect(reasonOf(region)).toBe('HostTaken');
});

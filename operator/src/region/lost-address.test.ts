import {expect, test} from '@jest/globals';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

const ingress = (className: string, more: object = {}) => ({ingress: {host: 'eu.example.com', className, ...more}});
const TEN_MINUTES_MS = 600_000;
const ADDRESS = {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}};

const routeReady = (region: SimulatedRegion) => {
  const found = region.status.conditions?.find(({type}) => type === 'RouteReady');
  return [found?.status, found?.reason];
};

const served = (): SimulatedRegion => {
  const region = new SimulatedRegion({region: 'eu-west', ...ingress('served')}).bringUp();
  region.set('Ingress', 'eu-device-api', ADDRESS);
  region.settle();
  expect(routeReady(region)).toEqual(['True', 'AddressAssigned']);
  region.events.length = 0;
  return region;
};

test('a class that nobody serves is told at once, and the region is not ready after ten minutes', () => {
  const region = served();
  region.change(ingress('misspelt'));
  region.pass();
  expect(routeReady(region)).toEqual(['True', 'AddressAssigned']);
  region.pass();
  expect(region.names('Ingress')).toEqual([]);
  expect(routeReady(region)).toEqual(['Unknown', 'AddressLost']);
  region.settle();
  expect(routeReady(region)).toEqual(['Unknown', 'AddressLost']);
  expect(region.events.filter(({type}) => type === 'Warning').map(({reason}) => reason)).toEqual(['AddressLost']);
  const deadlineMs = region.now.getTime() + TEN_MINUTES_MS;
  while (routeReady(region)[0] === 'Unknown') {
    if (region.next.kind !== 'after') throw new Error('nobody looks again');
    region.now = new Date(region.now.getTime() + region.next.delayMs);
    region.pass();
  }
  // Passes of the simulation take a second each.
  expect(Math.abs(region.now.getTime() - deadlineMs)).toBeLessThan(10_000);
  expect(routeReady(region)).toEqual(['False', 'AddressLost']);
  expect(region.status.conditions?.find(({type}) => type === 'Ready')?.status).toBe('False');

  region.change(ingress('served'));
  region.settle();
  region.set('Ingress', 'eu-device-api', ADDRESS);
  region.settle();
  expect(region.status.phase).toBe('Ready');
  for (const [index, {status, generation}] of region.statuses.entries())
    expect(brokenLaws(status, generation, region.statuses[index - 1]?.status)).toEqual([]);
});

test('a controller that gives no addresses is no alarm, for any Ingress that never had one', () => {
  const silent = new SimulatedRegion({region: 'eu-west', ...ingress('silent')}).bringUp();
  silent.change(ingress('other'));
  const grown = served();
  grown.change(ingress('served', {adminHost: 'admin.example.com'}));
  for (const region of [silent, grown]) {
    region.settle();
    region.now = new Date(region.now.getTime() + TEN_MINUTES_MS);
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expect(routeReady(region)).toEqual(['Unknown', 'NoAddress']);
    expect(region.events.map(({reason}) => reason)).not.toContain('AddressLost');
  }
});

test('a route that was switched off forgets that it had an address', () => {
  const region = served();
  region.change(ingress('silent', {enabled: false}));
  region.settle();
  region.change(ingress('silent'));
  region.settle();
  expect(routeReady(region)).toEqual(['Unknown', 'NoAddress']);
});

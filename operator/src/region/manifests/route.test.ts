import {expect, test} from '@jest/globals';
import {keyOf, keyText, recordOf} from '../../kube/object.ts';
import {SimulatedRegion} from '../testing/simulated-region.ts';

const ingress = {host: 'eu.sync.example.com'};

/** The server gives one without a class the default one when it is made. */
const settleWithDefault = (region: SimulatedRegion): void => {
  region.settle();
  const made = region.find('Ingress', 'eu-device-api');
  if (made === undefined) throw new Error('no Ingress');
  // Of our own manifest.
  const spec = made['spec'] as {readonly ingressClassName?: string};
  region.objects.set(keyText(keyOf(made)), {...made, spec: {ingressClassName: 'contour', ...spec}});
};

const seen = (region: SimulatedRegion) => {
  const made = region.find('Ingress', 'eu-device-api');
  return {className: (made?.['spec'] as {ingressClassName?: string}).ingressClassName, uid: made?.metadata.uid};
};

test('a route of another class is another route, and one without a class has the default again', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress}).bringUp();
  settleWithDefault(region);
  const first = seen(region);
  region.change({ingress: {...ingress, className: 'nope'}});
  settleWithDefault(region);
  const second = seen(region);
  expect(second.className).toBe('nope');
  expect(second.uid).not.toBe(first.uid);
  region.change({ingress});
  settleWithDefault(region);
  const third = seen(region);
  expect(third.className).toBe('contour');
  expect(third.uid).not.toBe(second.uid);
});

test('each Ingress names its own host for the Secret of both, and both for cert-manager, which makes that for one of them', () => {
  const hosts = {...ingress, adminHost: 'eu.admin.example.com', tls: {mode: 'Secret', secretName: 'cert'}};
  const region = new SimulatedRegion({region: 'eu-west', ingress: hosts}).bringUp();
  const named = () =>
    ['eu-device-api', 'eu-admin-api'].map((name) => recordOf(region.find('Ingress', name)?.['spec'])['tls']);
  expect(named()).toEqual([hosts.host, hosts.adminHost].map((host) => [{hosts: [host], secretName: 'cert'}]));
  region.change({ingress: {...hosts, annotations: {'cert-manager.io/cluster-issuer': 'letsencrypt'}}});
  region.settle();
  const both = [{hosts: [hosts.host, hosts.adminHost], secretName: 'cert'}];
  expect(named()).toEqual([both, both]);
});

test('a route stays when the spec names the class that it was given, and is another one when the name goes', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress}).bringUp();
  settleWithDefault(region);
  const before = seen(region);
  region.set('Ingress', 'eu-device-api', {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}});
  region.settle();
  region.change({ingress: {...ingress, className: 'contour'}});
  region.settle();
  expect(seen(region)).toEqual(before);
  expect(region.status).toMatchObject({phase: 'Ready', hosts: [{...ingress, className: 'contour'}]});
  expect(region.events.map(({reason}) => reason)).not.toContain('AddressLost');
  region.change({ingress});
  region.settle();
  expect(seen(region).uid).not.toBe(before.uid);
});

test('a route keeps the default class that it was given, also when it changes', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress}).bringUp();
  settleWithDefault(region);
  const {uid} = seen(region);
  region.change({ingress: {host: 'other.sync.example.com'}});
  region.settle();
  expect(seen(region)).toEqual({className: 'contour', uid});
});

test('a route that was made when the cluster had no default class says that it gets none, and has the one that is named', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress}).bringUp();
  const before = seen(region);
  expect(region.status.conditions?.find(({type}) => type === 'RouteReady')).toMatchObject({
    reason: 'NoAddress',
    message:
      'no ingress controller has given Ingress eu-device-api an address (the cluster had no default class when it was made, and it gets none by itself: name one in ingress.className; see kubectl get ingressclass)',
  });
  region.change({ingress: {...ingress, className: 'contour'}});
  region.settle();
  expect(seen(region).className).toBe('contour');
  expect(seen(region).uid).not.toBe(before.uid);
});

import {expect, test} from '@jest/globals';
import {keyOf, keyText} from '../kube/object.ts';
import {SimulatedRegion, UID} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'}};

test('nothing of it outlives its being wanted, whatever its kind, but what holds data or opens it', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const put = (kind: string, name: string, owner: {uid: string} | undefined): void => {
    const like = [...region.objects.values()].find((object) => object.kind === kind);
    if (like === undefined) throw new Error(`no ${kind}`);
    const {ownerReferences, ...metadata} = like.metadata;
    const owners = owner && [{apiVersion: 'v1', kind: 'PiSyncRegion', name: 'eu', controller: true, ...owner}];
    const copy = {...like, metadata: {...metadata, name, ...(owners ? {ownerReferences: owners} : {})}};
    region.objects.set(`${like.apiVersion}/${kind}/sync/${name}`, copy);
    expect(ownerReferences === undefined).toBe(kind === 'Secret');
  };
  const kinds = ['ConfigMap', 'Service', 'ServiceAccount', 'Deployment', 'Role', 'RoleBinding', 'NetworkPolicy'];
  for (const kind of [...kinds, 'Secret', 'StatefulSet']) {
    put(kind, 'eu-of-a-former-release', {uid: UID});
    put(kind, 'eu-of-a-person', undefined);
    put(kind, 'eu-of-another', {uid: 'other'});
  }
  region.settle();
  const left = [...region.objects.values()].filter(({metadata}) => metadata.name === 'eu-of-a-former-release');
  expect(left.map(({kind}) => kind)).toEqual(['Secret', 'StatefulSet']);
  const others = [...region.objects.values()].filter(({metadata}) => /-of-a(-person|nother)$/.test(metadata.name));
  expect(others).toHaveLength(18);
});

test('what has its place taken goes before what bears none of its names, of which there may be any number', () => {
  const ingress = {host: 'eu.sync.example.com', className: 'alb'};
  const region = new SimulatedRegion({region: 'eu-west', ingress}).bringUp();
  const own = [...region.objects];
  region.objects.clear();
  const owner = {apiVersion: 'pisync.io/v1alpha1', kind: 'PiSyncRegion', name: 'eu', uid: UID, controller: true};
  for (let index = 0; index < 200; index++) {
    const name = `litter-${index}`;
    const metadata = {name, namespace: 'sync', uid: name, resourceVersion: '1', ownerReferences: [owner]};
    const litter = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {...metadata, partial: true as const}};
    region.objects.set(keyText(keyOf(litter)), litter);
  }
  for (const [key, object] of own) region.objects.set(key, object);
  const left = () => region.names('ConfigMap').filter((name) => name.startsWith('litter-')).length;
  region.change({ingress: {...ingress, className: 'nginx'}});
  region.pass();
  region.pass();
  expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: 'nginx'}});
  expect(left()).toBe(101);
  region.settle();
  expect(left()).toBe(0);
});

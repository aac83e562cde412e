import {expect, test} from '@jest/globals';
import {keyOf, keyText} from '../kube/object.ts';
import {namesOf} from './names.ts';
import {NAMES, SimulatedRegion, UID} from './testing/simulated-region.ts';
import {setClaim} from './testing/volume-claims.ts';

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
  // That the host is the region's at the new class, too, is written down first.
  region.pass();
  region.pass();
  region.pass();
  expect(region.find('Ingress', 'eu-device-api')).toMatchObject({spec: {ingressClassName: 'nginx'}});
  expect(left()).toBe(51);
  region.settle();
  expect(left()).toBe(0);
});

/** As `kubectl delete --cascade=orphan` leaves it, and another region of the name finds it. */
const orphan = (earlier: SimulatedRegion, region: SimulatedRegion): void => {
  for (const [key, {metadata, ...object}] of earlier.objects) {
    const {ownerReferences: _, ...orphaned} = metadata;
    region.objects.set(key, {...object, metadata: orphaned});
  }
};

test('what an earlier region of the name has left is taken over, or removed if nobody needs it', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const again = new SimulatedRegion({...MINIMAL, ingress: {}});
  orphan(region, again);
  const route = region.find('Ingress', 'eu-device-api');
  if (route === undefined) throw new Error('no Ingress');
  const {ownerReferences: _, ...metadata} = route.metadata;
  const copy = {...route, metadata: {...metadata, name: 'copy-of-a-person'}};
  again.objects.set('networking.k8s.io/v1/Ingress/sync/copy-of-a-person', copy);
  again.settle();
  expect(again.status.phase).toBe('Ready');
  expect(again.names('Ingress')).toEqual(['copy-of-a-person']);
});

test.each([
  ['are complete', (region: SimulatedRegion) => void region.bringUp()],
  [
    'have failed',
    (region: SimulatedRegion) => {
      region.settle();
      region.makeReady('StatefulSet');
      region.settle();
      for (const job of region.names('Job')) region.set('Job', job, {conditions: [{type: 'Failed', status: 'True'}]});
    },
  ],
])('migrations of an earlier region for another image, which %s, are in the way of none and go', (_what, begin) => {
  const region = new SimulatedRegion(MINIMAL);
  begin(region);
  expect(region.names('Job')).toHaveLength(2);
  const again = new SimulatedRegion({...MINIMAL, version: '1.2.4'});
  orphan(region, again);
  again.bringUp();
  expect(again.status.phase).toBe('Ready');
  expect(again.names('Job').toSorted()).toEqual(
    [0, 1].map(namesOf('eu', 'registry.example.com/pisync:1.2.4').migration),
  );
});

test('of a growth of an earlier region what leads to a shard goes, and what is on it or opens it stays', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  region.change({postgres: {shards: 3}});
  region.settle();
  setClaim(region, 'claim', '10Gi', '10Gi', NAMES.shardVolume(2));
  const ofShard = (of: SimulatedRegion): readonly string[] =>
    [...of.objects.values()].flatMap(({kind, metadata: {name}}) =>
      name.includes(NAMES.shard(2)) ? `${kind}/${name}` : [],
    );
  expect(ofShard(region).toSorted()).toEqual([
    'PersistentVolumeClaim/data-eu-pg-2-0',
    'Secret/eu-pg-2',
    'Service/eu-pg-2',
    'Service/eu-pg-2-rw',
    'StatefulSet/eu-pg-2',
  ]);
  const again = new SimulatedRegion(MINIMAL);
  orphan(region, again);
  again.settle();
  expect(again.status.phase).toBe('Ready');
  expect(ofShard(again).toSorted()).toEqual([
    'PersistentVolumeClaim/data-eu-pg-2-0',
    'Secret/eu-pg-2',
    'StatefulSet/eu-pg-2',
  ]);
});

import {expect, test} from '@jest/globals';
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

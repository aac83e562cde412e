import {expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {type FindIngress, hostTaken} from './host-taken.ts';
import {decodeRegion} from './region.ts';

const objectOf = (namespace: string, created: string, ingress: object, more: object = {}): KubeObject => ({
  apiVersion: 'pisync.io/v1alpha1',
  kind: 'PiSyncRegion',
  metadata: {name: 'eu', namespace, uid: namespace, resourceVersion: '1', creationTimestamp: created, ...more},
  spec: {ingress},
});

const HOSTS = {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'};
const mine = objectOf('new', '2026-03-02T00:00:00Z', HOSTS);
const taken = (other: KubeObject, find: FindIngress = () => Promise.resolve(undefined)) =>
  hostTaken(decodeRegion(mine), [mine, other], find);

test.each<[string, KubeObject, boolean]>([
  ['an older region has', objectOf('old', '2026-03-01T00:00:00Z', {host: HOSTS.host}), true],
  ['an older region has for people', objectOf('old', '2026-03-01T00:00:00Z', {host: 'x', adminHost: HOSTS.host}), true],
  ['a younger region has', objectOf('young', '2026-03-03T00:00:00Z', HOSTS), false],
  ['one of the same second has, by its name', objectOf('later', '2026-03-02T00:00:00Z', HOSTS), true],
  ['nobody has', objectOf('old', '2026-03-01T00:00:00Z', {host: 'other.example.com'}), false],
  ['only a region without routes has', objectOf('old', '2026-03-01T00:00:00Z', {...HOSTS, enabled: false}), false],
  [
    'a region has at another entrance',
    objectOf('old', '2026-03-01T00:00:00Z', {...HOSTS, className: 'internal'}),
    false,
  ],
  [
    'a region has that is being deleted',
    objectOf('old', '2026-03-01T00:00:00Z', HOSTS, {deletionTimestamp: '2026-03-02T00:00:00Z'}),
    false,
  ],
])('a host that %s', async (_what, other, isTaken) => {
  expect((await taken(other))?.reason).toBe(isTaken ? 'HostTaken' : undefined);
});

test('the message names the host and the region', async () => {
  expect((await taken(objectOf('old', '2026-03-01T00:00:00Z', HOSTS)))?.message).toBe(
    'host eu.sync.example.com is already that of region old/eu; give one of the two another host',
  );
});

test.each([
  ['the default class, which another one names', 'nginx', 'HostTaken'],
  ['the default class, while another one names a class besides it', 'internal', undefined],
])('a region that names no class is at %s', async (_what, className, expected) => {
  const asked: string[] = [];
  const find: FindIngress = (namespace, name) => {
    asked.push(`${namespace}/${name}`);
    return Promise.resolve({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: {name, namespace, uid: name, resourceVersion: '1'},
      // As the API server has completed it.
      spec: {ingressClassName: 'nginx'},
    });
  };
  const older = objectOf('old', '2026-03-01T00:00:00Z', {host: HOSTS.adminHost, className});
  expect((await taken(older, find))?.reason).toBe(expected);
  expect(asked).toEqual(['new/eu-admin-api']);
});

import {expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {KINDS} from './kinds.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const INGRESS = {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'};

/** The stranger's object is not among the children: its labels do not say that it belongs to the region. */
test.each<[string, string[], object]>([
  ['Role/eu-keeper', ['RoleBinding/eu-keeper', 'Deployment/eu-keeper'], {}],
  ['ServiceAccount/eu-keeper', ['RoleBinding/eu-keeper', 'Deployment/eu-keeper'], {}],
  ['RoleBinding/eu-keeper', ['Deployment/eu-keeper'], {}],
  ['ConfigMap/eu-facts', ['Role/eu-keeper', 'RoleBinding/eu-keeper', 'Deployment/eu-keeper'], {}],
  ['Service/eu-admin-api', ['Ingress/eu-admin-api'], {}],
  ['Service/eu-device-api', ['HTTPRoute/eu-device-api'], {gatewayRef: {name: 'g'}}],
  ['Service/eu-pg-1', ['StatefulSet/eu-pg-1', 'Deployment/eu-worker'], {}],
  ['Service/eu-pg-1-rw', ['StatefulSet/eu-pg-1', 'Deployment/eu-worker'], {}],
  ['Service/eu-rabbitmq', ['StatefulSet/eu-rabbitmq', 'Deployment/eu-worker'], {}],
  ['Service/eu-redis', ['Deployment/eu-redis', 'Deployment/eu-worker'], {}],
  ['Secret/eu-redis', ['Deployment/eu-redis', 'Deployment/eu-worker'], {}],
  ['ConfigMap/eu-topology', ['StatefulSet/eu-pg-0', 'Deployment/eu-worker'], {}],
  ['Deployment/eu-worker', ['HorizontalPodAutoscaler/eu-worker'], {}],
])('beside a %s of a stranger a region makes no %j', (stranger, waiting, more) => {
  const region = new SimulatedRegion({region: 'eu-west', ingress: {...INGRESS, ...more}});
  region.failures.set(stranger, 'conflict');
  region.bringUp();
  const made = [...region.objects.values()].map(({kind, metadata}) => `${kind}/${metadata.name}`);
  expect(made.filter((name) => waiting.includes(name))).toEqual([]);
  expect(region.status.conditions?.find(({type}) => type === 'Stalled')).toMatchObject({
    status: 'True',
    reason: 'Conflict',
  });
  expect(region.events).toContainEqual(expect.objectContaining({type: 'Warning', reason: 'Conflict'}));
  region.failures.clear();
  region.bringUp();
  const all = [...region.objects.values()].map(({kind, metadata}) => `${kind}/${metadata.name}`);
  expect(waiting.filter((name) => !all.includes(name))).toEqual([]);
  expect(region.status.phase).toBe('Ready');
});

test('what was made stays as it should be, although what it names was replaced by a stranger', () => {
  const region = new SimulatedRegion({region: 'eu-west', ingress: INGRESS}).bringUp();
  region.objects.delete('v1/Service/sync/eu-rabbitmq');
  region.failures.set('Service/eu-rabbitmq', 'conflict');
  region.change({common: {annotations: {'example.com/team': 'blue'}}});
  region.settle();
  expect(region.find('StatefulSet', 'eu-rabbitmq')?.metadata.annotations).toMatchObject({'example.com/team': 'blue'});
});

/** As the controller of a StatefulSet that is somebody else's has made it. */
const setClaim = (region: SimulatedRegion, name: string): KubeObject => {
  const claim = {
    ...KINDS.volumeClaim,
    metadata: {name, namespace: 'sync', uid: 'theirs', resourceVersion: '1', labels: {'app.kubernetes.io/name': name}},
    spec: {resources: {requests: {storage: '1Gi'}}},
    status: {phase: 'Bound', capacity: {storage: '1Gi'}},
  };
  region.objects.set(`v1/PersistentVolumeClaim/sync/${name}`, claim);
  return claim;
};

test.each([
  ['data-eu-rabbitmq-0', 'StatefulSet/eu-rabbitmq'],
  ['data-eu-rabbitmq-0', 'Service/eu-rabbitmq'],
  ['data-eu-pg-1-0', 'StatefulSet/eu-pg-1'],
  ['data-eu-pg-1-0', 'Service/eu-pg-1'],
])("claim %s is left alone while %s is a stranger's, and looked after from then on", (name, stranger) => {
  const region = new SimulatedRegion({region: 'eu-west', ingress: INGRESS, rabbitmq: {storage: {size: '10Gi'}}});
  const theirs = setClaim(region, name);
  region.failures.set(stranger, 'conflict');
  region.bringUp();
  expect(region.find('PersistentVolumeClaim', name)).toBe(theirs);
  region.failures.clear();
  region.bringUp();
  expect(region.find('PersistentVolumeClaim', name)).toMatchObject({
    metadata: {labels: {'app.kubernetes.io/instance': 'eu'}},
    spec: {resources: {requests: {storage: '10Gi'}}},
  });
  expect(region.status.conditions?.find(({type}) => type === 'Stalled')?.status).toBe('False');
});

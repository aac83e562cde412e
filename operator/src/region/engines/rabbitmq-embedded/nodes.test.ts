import {expect, test} from '@jest/globals';
import {API_VERSION, KIND} from '../../../api/v1alpha1/group.ts';
import {specSchema} from '../../../api/v1alpha1/spec.ts';
import {Children} from '../../children.ts';
import {contextOf, type RegionContext} from '../../context.ts';
import {KINDS} from '../../kinds.ts';
import {RELEASE} from '../../testing/simulated-region.ts';
import {unfulfilled} from '../volume-growth.ts';
import {volumeClaims} from '../volume-claims.ts';
import {rabbitmqConfigMap} from './config.ts';

const GIB = 1024 ** 3;

/** Three nodes, which no spec may have yet, with volumes of these sizes. */
const clustered = (sizes: readonly number[], size: string): RegionContext => {
  const spec = specSchema.parse({region: 'eu-west', rabbitmq: {storage: {size}}});
  const claims = sizes.map((gib, node) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {name: `data-eu-rabbitmq-${node}`, namespace: 'sync', uid: `claim-${node}`, resourceVersion: '1'},
    spec: {resources: {requests: {storage: `${gib}Gi`}}},
    status: {phase: 'Bound', capacity: {storage: `${gib}Gi`}},
  }));
  const owner = {apiVersion: API_VERSION, kind: KIND, name: 'eu', uid: 'region', controller: true};
  const set = {
    ...KINDS.statefulSet,
    metadata: {name: 'eu-rabbitmq', namespace: 'sync', uid: 'set', resourceVersion: '1', ownerReferences: [owner]},
  };
  const rabbitmq = {...spec.rabbitmq, replicas: 3};
  const region = {name: 'eu', namespace: 'sync', status: {}};
  return contextOf(region, {...spec, rabbitmq}, RELEASE, new Children([set, ...claims]), 0);
};

test('the disk limit is that of the smallest volume', () => {
  const text = JSON.stringify(rabbitmqConfigMap(clustered([100, 100, 10], '100Gi')).manifest['data']);
  expect(text).toContain(`disk_free_limit.absolute = ${GIB}\\n`);
});

test('the volume of every node grows', () => {
  const grown = volumeClaims(clustered([10, 20, 10], '20Gi'), 'rabbitmq').map(({manifest}) => manifest);
  expect(grown.map(({metadata}) => metadata.name)).toEqual([0, 1, 2].map((node) => `data-eu-rabbitmq-${node}`));
  for (const {spec} of grown) expect(spec).toEqual({resources: {requests: {storage: '20Gi'}}});
});

test('what is refused of any of them is told', () => {
  const key = {apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'sync', name: 'data-eu-rabbitmq-2'};
  const outcome = new Map([['broker', [{kind: 'refused' as const, key, message: 'no'}]]]);
  expect(unfulfilled(clustered([10, 10, 10], '20Gi'), outcome)).toEqual([
    {component: 'broker', reason: 'no. Let it be changed to 20Gi, or take spec.rabbitmq.storage.size back to 10Gi'},
  ]);
});

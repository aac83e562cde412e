import {expect, test} from '@jest/globals';
import {regionSchema, type SchemaNode} from '../api/v1alpha1/crd.ts';
import {specSchema} from '../api/v1alpha1/spec.ts';
import {type Desired} from '../kube/controller.ts';
import {recordOf} from '../kube/object.ts';
import {Children} from './children.ts';
import {contextOf} from './context.ts';
import {SPEC_REVISION} from './labels.ts';
import {progressOf} from './progress.ts';
import {RELEASE, SimulatedRegion} from './testing/simulated-region.ts';

/** Without a collector its share of requests says nothing, and a Gateway has a name. */
const BASE = {
  region: 'eu-west',
  ingress: {host: 'eu.example.com', gatewayRef: {name: 'gateway'}},
  monitoring: {tracing: {endpoint: 'http://collector:4318'}},
};

/** What a rule keeps from ever changing. */
const FIXED = new Set(['region', 'rabbitmq.partitions']);

/** Another value than the default, by the name of the field, where its schema does not tell one. */
const OTHERS: Readonly<Record<string, unknown>> = {
  ...Object.fromEntries(
    ['labels', 'annotations', 'serviceAnnotations', 'nodeSelector'].map((name) => [name, {'example.com/a': 'b'}]),
  ),
  ...Object.fromEntries(
    ['priorityClassName', 'className', 'secretName', 'name', 'namespace', 'sectionName', 'host', 'adminHost'].map(
      (name) => [name, 'other'],
    ),
  ),
  ...Object.fromEntries(
    ['registry', 'service', 'postgres', 'rabbitmq', 'redis'].map((name) => [name, 'mirror.example.com/other']),
  ),
  tolerations: [{operator: 'Exists'}],
  pullSecrets: [{name: 'other'}],
  env: [{name: 'A', value: 'b'}],
  volumes: [{name: 'a', mountPath: '/mnt/a', emptyDir: {}}],
  parameters: {work_mem: '8MB'},
  version: '9.9.9',
  start: '01:00',
  cpu: '123m',
  memory: '234Mi',
  size: '345Gi',
  maxMemory: '45Mi',
  endpoint: 'http://other:4318',
  sampleRatio: 0.5,
};

const leaves = (node: SchemaNode, path = ''): readonly (readonly [path: string, node: SchemaNode])[] =>
  node.properties === undefined
    ? [[path, node]]
    : Object.entries(node.properties).flatMap(([name, field]) => leaves(field, path === '' ? name : `${path}.${name}`));

/** Undefined where there is only one value. */
const otherOf = (path: string, node: SchemaNode): unknown => {
  if (node.enum !== undefined) return node.enum.find((value) => value !== node.default);
  if (node.type === 'boolean') return node.default !== true;
  if (node.type === 'integer')
    return node.default === undefined || node.default === node.maximum ? node.minimum : node.maximum;
  const other = OTHERS[path.slice(path.lastIndexOf('.') + 1)];
  if (other === undefined) throw new Error(`no other value is known for spec.${path}`);
  return other;
};

const withField = (spec: unknown, [first = '', ...rest]: readonly string[], value: unknown): object => {
  const fields = recordOf(spec);
  return {...fields, [first]: rest.length === 0 ? value : withField(fields[first], rest, value)};
};

test('whoever changes a field of the spec that pods are made from is seen to have asked for other pods', () => {
  const region = new SimulatedRegion(BASE).bringUp();
  const children = new Children([...region.objects.values()]);
  const workloadsOf = (spec: unknown): readonly (readonly [name: string, desired: Desired])[] => {
    const place = {name: 'eu', namespace: 'sync', status: region.status};
    const {shards, broker, cache, migrations, tiers} = progressOf(
      contextOf(place, specSchema.parse(spec), RELEASE, children, 2),
    );
    return [
      ...shards.map(({desired}, id) => [`shard ${id}`, desired] as const),
      ...migrations.map(({desired}, id) => [`migration ${id}`, desired] as const),
      ...Object.entries({broker, cache, ...tiers}).map(([name, {desired}]) => [name, desired] as const),
    ];
  };
  const templateOf = ({manifest}: Desired): string => JSON.stringify(recordOf(manifest['spec'])['template']);
  const specRevisionOf = ({manifest}: Desired): string | undefined => manifest.metadata.annotations?.[SPEC_REVISION];

  const schema = regionSchema().properties?.['spec'];
  if (schema === undefined) throw new Error('no spec');
  const usual = new Map(workloadsOf(BASE));
  const changed = new Set<string>();
  const unseen = leaves(schema)
    .filter(([path]) => !FIXED.has(path))
    .flatMap(([path, node]) => {
      const other = otherOf(path, node);
      if (other === undefined) return [];
      return workloadsOf(withField(BASE, path.split('.'), other)).flatMap(([name, desired]) => {
        const before = usual.get(name);
        if (before === undefined || templateOf(before) === templateOf(desired)) return [];
        changed.add(name);
        return specRevisionOf(before) === specRevisionOf(desired) ? [`spec.${path} changes ${name}`] : [];
      });
    });
  expect([...changed].toSorted()).toEqual([...usual.keys()].toSorted());
  expect(unseen).toEqual([]);
});

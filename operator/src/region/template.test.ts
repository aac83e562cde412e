import {expect, test} from '@jest/globals';
import {regionSchema, type SchemaNode} from '../api/v1alpha1/crd.ts';
import {specSchema} from '../api/v1alpha1/spec.ts';
import {type Desired} from '../kube/controller.ts';
import {recordOf} from '../kube/object.ts';
import {Children} from './children.ts';
import {contextOf} from './context.ts';
import {ACCEPTED, SPEC_REVISION} from './labels.ts';
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
  'limits.memory': '9Gi',
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
  if (node.type === 'integer' && node.minimum === node.maximum) return undefined;
  if (node.type === 'integer')
    return node.default === undefined || node.default === node.maximum ? node.minimum : node.maximum;
  const names = path.split('.');
  const other = OTHERS[names.slice(-2).join('.')] ?? OTHERS[names.at(-1) ?? ''];
  if (other === undefined) throw new Error(`no other value is known for spec.${path}`);
  return other;
};

const withField = (spec: unknown, [first = '', ...rest]: readonly string[], value: unknown): object => {
  const fields = recordOf(spec);
  return {...fields, [first]: rest.length === 0 ? value : withField(fields[first], rest, value)};
};

const SPEC = regionSchema().properties?.['spec'];
if (SPEC === undefined) throw new Error('no spec');

interface Change {
  readonly path: string;
  readonly value: unknown;
}

/** Another value for each field that has one. */
const CHANGES: readonly Change[] = leaves(SPEC)
  .filter(([path]) => !FIXED.has(path))
  .map(([path, node]) => ({path, value: otherOf(path, node)}))
  .filter(({value}) => value !== undefined);

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

  const usual = new Map(workloadsOf(BASE));
  const changed = new Set<string>();
  const unseen = CHANGES.flatMap(({path, value}) =>
    workloadsOf(withField(BASE, path.split('.'), value)).flatMap(([name, desired]) => {
      const before = usual.get(name);
      if (before === undefined || templateOf(before) === templateOf(desired)) return [];
      changed.add(name);
      return specRevisionOf(before) === specRevisionOf(desired) ? [`spec.${path} changes ${name}`] : [];
    }),
  );
  expect([...changed].toSorted()).toEqual([...usual.keys()].toSorted());
  expect(unseen).toEqual([]);
});

/** With what some fields say nothing without: tiers of a fixed size, an autoscaler of the admin API, a certificate that no Gateway has, or could have. */
const BASES: readonly Record<string, unknown>[] = [
  BASE,
  {
    ...BASE,
    deviceApi: {autoscaling: {enabled: false}},
    adminApi: {autoscaling: {enabled: true}},
    workers: {autoscaling: {enabled: false}},
    ingress: {host: 'eu.example.com', tls: {mode: 'Secret', secretName: 'certificate'}},
  },
  {...BASE, ingress: {host: 'eu.example.com', tls: {secretName: 'certificate'}}},
];

/** Fields whose change a live region's next pass writes to none of the operator's objects, and why. */
const OF_NEW_REGIONS: Readonly<Record<string, string>> = {
  suspend: 'nothing is written then',
  'postgres.storage.size': 'is written to claims, which StatefulSets make: volumes.test.ts',
  'postgres.storage.className': 'is refused: the data is on volumes of the class before',
  'rabbitmq.storage.className': 'is refused: the data is on volumes of the class before',
  ...Object.fromEntries(
    ['adminHost', 'gatewayRef.name', 'gatewayRef.namespace'].map((field) => [
      `ingress.${field}`,
      'is written to routes once the status says whose the host is: host-taken.test.ts',
    ]),
  ),
  ...Object.fromEntries(
    ['postgres', 'rabbitmq', 'redis'].flatMap((tier) =>
      ['labels', 'annotations'].map((field) => [
        `${tier}.podTemplate.${field}`,
        'is no reason to restart a data tier: it comes with the next other change (template.ts)',
      ]),
    ),
  ),
};

/** What is there of a region, without what only tells later passes which spec it was. */
const writtenOf = ({objects}: SimulatedRegion): string =>
  JSON.stringify(
    [...objects.values()].map(({metadata, status: _, ...content}) => {
      const {[SPEC_REVISION]: _revision, [ACCEPTED]: _accepted, ...annotations} = metadata.annotations ?? {};
      return {...content, name: metadata.name, labels: metadata.labels, annotations};
    }),
  );

const isValid = ({status}: SimulatedRegion): boolean =>
  status.conditions?.some((condition) => condition.type === 'SpecValid' && condition.status === 'True') === true;

/** The live region after the next pass. */
const afterChange = (live: SimulatedRegion, spec: object): SimulatedRegion => {
  const region = new SimulatedRegion(recordOf(spec));
  for (const [key, object] of live.objects) region.objects.set(key, object);
  region.status = live.status;
  region.pass();
  return region;
};

test('whoever changes a field of the spec changes what is written', () => {
  const bases = BASES.map((spec) => ({spec, live: new SimulatedRegion(spec).bringUp()}));
  const hasEffect = (
    {path, value}: Change,
    changed: (live: SimulatedRegion, spec: object) => SimulatedRegion,
  ): boolean =>
    bases.some(({spec, live}) => {
      const region = changed(live, withField(spec, path.split('.'), value));
      return isValid(region) && writtenOf(region) !== writtenOf(live);
    });
  const ofNewRegions = CHANGES.filter((change) => !hasEffect(change, afterChange));
  const without = ofNewRegions.filter(
    (change) => !hasEffect(change, (_live, spec) => new SimulatedRegion(recordOf(spec)).bringUp()),
  );
  expect(without.map(({path}) => path)).toEqual([]);
  expect(ofNewRegions.map(({path}) => path).toSorted()).toEqual(Object.keys(OF_NEW_REGIONS).toSorted());
});

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parse, parseAllDocuments} from 'yaml';
import {OPERATOR_CHART, startHelm, type Helm} from './testing/helm.ts';
import {printed} from './testing/printed.ts';

let helm: Helm;
let folder: string;

beforeAll(async () => {
  helm = await startHelm();
  folder = await mkdtemp(join(tmpdir(), 'pisync-gitops-'));
});

afterAll(async () => {
  await helm.stop();
  await rm(folder, {recursive: true});
});

interface Reference {
  readonly name: string;
  readonly namespace?: string;
}

interface Application {
  readonly kind: string;
  readonly metadata: Reference;
  readonly spec: {
    readonly source: {
      readonly path: string;
      readonly helm?: {readonly releaseName?: string; readonly valuesObject?: object};
    };
    readonly destination: {readonly namespace: string};
  };
}

interface HelmRelease {
  readonly metadata: {readonly namespace: string};
  readonly spec: {
    readonly releaseName: string;
    readonly targetNamespace: string;
    readonly storageNamespace: string;
    readonly install: {readonly createNamespace: boolean};
    readonly chart: {readonly spec: {readonly chart: string; readonly sourceRef: Reference}};
    readonly values?: object;
  };
}

interface Kustomization {
  readonly metadata: Reference & {readonly namespace: string};
  readonly spec: {readonly path: string; readonly sourceRef: Reference; readonly dependsOn?: readonly Reference[]};
}

/** Renders the chart as the tool would; answers the names of the Deployments. */
const deployed = async (releaseName: string, namespace: string, values: object | undefined) => {
  const file = join(folder, 'values.json');
  await writeFile(file, JSON.stringify(values ?? {}));
  const {ok, output} = await helm.run(
    ...['template', releaseName, OPERATOR_CHART, '--namespace', namespace, '--values', file],
  );
  if (!ok) throw new Error(output);
  return parseAllDocuments(output)
    .map((document) => document.toJS() as {readonly kind: string; readonly metadata: Reference} | null)
    .filter((object) => object?.kind === 'Deployment')
    .map((object) => `${object?.metadata.namespace}/${object?.metadata.name}`);
};

test('the application that is printed for Argo CD is the operator', async () => {
  const blocks = await printed('operations/gitops.md', '## Argo CD', 'yaml');
  // The page prints these; what they lack the test finds.
  const application = blocks
    .map((block) => parse(block) as Partial<Application>)
    .find(({kind}) => kind === 'Application') as Application;
  const {source, destination} = application.spec;
  expect(source.path).toBe('charts/pisync');
  const releaseName = source.helm?.releaseName ?? application.metadata.name;
  expect(await deployed(releaseName, destination.namespace, source.helm?.valuesObject)).toEqual([
    'pisync-system/pisync-operator',
  ]);
});

test('what is printed for Flux is the operator in a namespace that is made, and regions that wait for it', async () => {
  const [kustomizations = '', releases = ''] = await printed('operations/gitops.md', '## Flux', 'yaml');
  const release = parse(releases) as HelmRelease;
  const {releaseName, targetNamespace, chart, values} = release.spec;
  expect(chart.spec.chart).toBe('charts/pisync');
  expect(await deployed(releaseName, targetNamespace, values)).toEqual(['pisync-system/pisync-operator']);
  expect(release.spec).toMatchObject({storageNamespace: targetNamespace, install: {createNamespace: true}});

  const all = parseAllDocuments(kustomizations).map((document) => document.toJS() as Kustomization);
  const home = release.metadata.namespace;
  expect(all.map(({metadata}) => metadata)).toEqual([
    {name: 'operator', namespace: home},
    {name: 'regions', namespace: home},
  ]);
  // A reference without a namespace is one to the same namespace.
  const sources = [...all.map(({spec}) => spec.sourceRef), chart.spec.sourceRef];
  expect(new Set(sources.map(({name, namespace = home}) => `${namespace}/${name}`)).size).toBe(1);
  expect(all.flatMap(({spec}) => spec.dependsOn ?? [])).toEqual([{name: 'operator'}]);
});

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseAllDocuments} from 'yaml';
import {systemClock} from '../kube/clock.ts';
import {microTime} from '../kube/election.ts';
import {Discovery} from '../kube/discovery.ts';
import {type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {forever} from '../kube/testing/fixtures.ts';
import {IMAGES, OPERATOR_CHART, startHelm, type Helm} from './testing/helm.ts';

let server: TestApiServer;
let helm: Helm;

const TESTDATA = join(import.meta.dirname, 'testdata');
const EVERYTHING = ['--values', join(TESTDATA, 'everything.values.yaml')];

beforeAll(async () => {
  server = await startApiServer();
  helm = await startHelm(server);
  for (const name of ['blue', 'green', 'one', 'two', 'dry']) await makeNamespace(name);
}, 90_000);

afterAll(async () => {
  await helm.stop();
  await server.stop();
}, 30_000);

const makeNamespace = (name: string) =>
  server.client.send({
    method: 'POST',
    path: '/api/v1/namespaces',
    body: {apiVersion: 'v1', kind: 'Namespace', metadata: {name}},
    signal: forever,
  });

const create = async (object: KubeObject, query: Readonly<Record<string, string>> = {}): Promise<void> => {
  const {namespace} = object.metadata;
  const path = await new Discovery(server.client, systemClock).collectionPath(object, namespace, forever);
  await server.client.send({
    method: 'POST',
    path,
    query: {...query, fieldValidation: 'Strict'},
    body: object,
    signal: forever,
  });
};

const render = async (...args: readonly string[]): Promise<string> => {
  const {ok, output} = await helm.run('template', 'pisync', OPERATOR_CHART, '--namespace', 'one', ...args);
  if (!ok) throw new Error(output);
  return output;
};

/** A rendered manifest has apiVersion, kind and a name, or the server says so. */
const objectsOf = (text: string): readonly KubeObject[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);

test.each([
  ['operator-defaults', IMAGES],
  ['operator-everything', EVERYTHING],
])('renders %s.yaml', async (name, args) => {
  // The definition has a file of its own, and is checked against the schema elsewhere.
  const text = await render(...args, '--set', 'crds.enabled=false');
  const file = join(TESTDATA, `${name}.yaml`);
  // PISYNC_UPDATE_GOLDEN=1 writes it anew; the difference is then reviewed like any other change.
  if (process.env['PISYNC_UPDATE_GOLDEN'] === '1') await writeFile(file, text);
  expect(text).toBe(await readFile(file, 'utf8'));
});

test.each([
  ['defaults', IMAGES],
  ['everything', EVERYTHING],
])('every object of %s is one that the API server takes, field by field', async (_, args) => {
  const objects = objectsOf(await render(...args, '--namespace', 'dry'));
  expect(objects.map(({kind}) => kind)).toEqual(expect.arrayContaining(['Deployment', 'Role', 'Pod']));
  // A pod is refused without its account.
  for (const object of objects) await create(object, object.kind === 'ServiceAccount' ? {} : {dryRun: 'All'});
});

test.each([
  ['replica=2', "at '': additional properties 'replica' not allowed"],
  ['networkPolicy.apiServer.port=1', "at '/networkPolicy/apiServer': additional properties 'port' not allowed"],
  ['replicas=many', "at '/replicas': got string, want integer"],
  ['images.redis=redis@sha256:short', "at '/images/redis'"],
  ['serviceAccount.create=false', 'serviceAccount.name is missing'],
  ['images.service=', 'images.service is missing'],
  ['crds=null', "at '': missing property 'crds'"],
  ['networkPolicy.apiServer=null', "at '/networkPolicy': missing property 'apiServer'"],
  ['extraEnv[0].name=PISYNC_LOG_LEVEL', "at '/extraEnv/0/name'"],
])('refuses --set %s and says where it is', async (setting, message) => {
  const args = ['template', 'pisync', OPERATOR_CHART, ...IMAGES, '--set', setting];
  const {ok, output} = await helm.run(...args);
  expect({ok, output}).toEqual({ok: false, output: expect.stringContaining(message)});
});

test.each(['namespaces', 'commonLabels', 'podLabels'])('%s=null is the same as none', async (name) => {
  expect(await helm.run('install', 'pisync', OPERATOR_CHART, ...IMAGES, '--dry-run=client', '--set', `${name}=null`))
    // With the notes, which `helm template` does not render.
    .toMatchObject({ok: true, output: expect.stringContaining('The PiSync operator')});
});

// A region that no operator looks at would be waited for in vain.
test.each([
  ['namespaces={blue,green}', 'It looks after the namespaces blue, green.'],
  ['regionSelector=line=blue', 'only at those with labels that match line=blue.'],
])('the notes of --set %s say which regions are looked after', async (setting, told) => {
  expect(
    await helm.run('install', 'pisync', OPERATOR_CHART, ...IMAGES, '--dry-run=client', '--set', setting),
  ).toMatchObject({ok: true, output: expect.stringContaining(told)});
});

const install = (namespace: string, ...args: readonly string[]) =>
  helm.run(
    'upgrade',
    '--install',
    'pisync',
    OPERATOR_CHART,
    '--namespace',
    namespace,
    '--wait=false',
    ...IMAGES,
    ...args,
  );

const definition = async () =>
  (
    await server.client.send({
      method: 'GET',
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pisyncregions.pisync.io',
      signal: forever,
    })
  ).body as KubeObject;

test('a second release of the same name lives in another namespace; one of them has the definition, which outlives it', async () => {
  expect(await install('one')).toMatchObject({ok: true});
  const refused = await install('two');
  expect(refused.ok).toBe(false);
  expect(refused.output).toMatch(/pisyncregions\.pisync\.io.*(ownership|exists|imported)/s);
  expect(await install('two', '--set', 'crds.enabled=false,namespaces={blue}')).toMatchObject({ok: true});
  expect((await definition()).metadata.annotations?.['meta.helm.sh/release-namespace']).toBe('one');

  // Given up by the first, taken over by the second.
  expect(await install('one', '--set', 'crds.enabled=false')).toMatchObject({ok: true});
  expect((await definition()).metadata.deletionTimestamp).toBeUndefined();
  expect(await install('two', '--take-ownership')).toMatchObject({ok: true});
  expect((await definition()).metadata.annotations?.['meta.helm.sh/release-namespace']).toBe('two');

  for (const namespace of ['two', 'one']) {
    expect(await helm.run('uninstall', 'pisync', '--namespace', namespace)).toMatchObject({ok: true});
  }
  expect((await definition()).metadata.deletionTimestamp).toBeUndefined();
  const left = await server.client.send({
    method: 'GET',
    path: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
    query: {labelSelector: 'app.kubernetes.io/part-of=pisync'},
    signal: forever,
  });
  expect((left.body as {readonly items: readonly KubeObject[]}).items).toEqual([]);
}, 120_000);

test("a definition that somebody has applied by force is Helm's again after one upgrade with --force-conflicts", async () => {
  const isForeign = async () => JSON.stringify(await definition()).includes('Another text');
  expect(await install('one', '--take-ownership')).toMatchObject({ok: true});
  const foreign = "sed 's/Name of the condition/Another text/' crds/pisync.io_pisyncregions.yaml";
  expect(await helm.sh(`${foreign} | kubectl apply --server-side --force-conflicts -f -`)).toMatchObject({ok: true});
  expect(await isForeign()).toBe(true);
  const refusal = {ok: false, output: expect.stringContaining('conflict with \\"kubectl\\": .spec.versions')};
  expect(await install('one')).toEqual(refusal);
  expect(await install('one', '--take-ownership')).toEqual(refusal);
  expect(await install('one', '--force-conflicts')).toMatchObject({ok: true});
  expect(await isForeign()).toBe(false);
  expect(await install('one')).toMatchObject({ok: true});
}, 120_000);

test('an install into namespaces has no object outside of them but what it can be asked to leave out', async () => {
  const objects = objectsOf(
    await render(...IMAGES, '--set', 'namespaces={blue,green},crds.enabled=false,aggregatedRoles.enabled=false'),
  );
  const namespaces = new Set(objects.map(({metadata}) => metadata.namespace));
  expect([...namespaces].toSorted()).toEqual(['blue', 'green', 'one']);
});

/** Runs what the pod of `helm test` runs, with the rights of its account in the namespace. */
const runCheck = async (namespace: string): Promise<{readonly code: number | null; readonly output: string}> => {
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/pisync-operator-test/token`;
  const {body} = await server.client.send({method: 'POST', path: account, body: {spec: {}}, signal: forever});
  const folder = await mkdtemp(join(tmpdir(), 'pisync-check-'));
  const tokenFile = join(folder, 'token');
  // A TokenRequest answers with the token.
  await writeFile(tokenFile, (body as {readonly status: {readonly token: string}}).status.token);
  const child = spawn(process.execPath, [join(OPERATOR_CHART, 'files/check.mjs')], {
    env: {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(server.port),
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      PISYNC_NAMESPACE: namespace,
      PISYNC_OPERATOR: 'pisync-operator',
      PISYNC_TOKEN_FILE: tokenFile,
      PISYNC_WITHIN_MS: '0',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  await rm(folder, {recursive: true});
  return {code, output};
};

test('helm test fails while not every operator is ready and of this release or none leads, and passes when one does and regions are judged', async () => {
  await makeNamespace('checked');
  const objects = objectsOf(await render(...IMAGES, '--namespace', 'checked'));
  const wanted = ['CustomResourceDefinition', 'Deployment', 'ServiceAccount', 'Role', 'RoleBinding'];
  for (const object of objects.filter(({kind}) => wanted.includes(kind))) {
    await create(object).catch((error: unknown) => {
      if (object.kind !== 'CustomResourceDefinition') throw error;
    });
  }
  const patch = (path: string, body: object): Promise<unknown> =>
    server.client.send({method: 'PATCH', path, contentType: 'application/merge-patch+json', body, signal: forever});
  const deployment = '/apis/apps/v1/namespaces/checked/deployments/pisync-operator';
  const becomes = (status: object): Promise<unknown> => patch(`${deployment}/status`, {status});
  const fails = async (message: string): Promise<void> =>
    expect(await runCheck('checked')).toEqual({code: 1, output: expect.stringContaining(message)});

  await patch(deployment, {spec: {replicas: 2}});
  const {metadata} = (await server.client.send({method: 'GET', path: deployment, signal: forever})).body as KubeObject;
  const seen = {observedGeneration: metadata.generation, replicas: 2, updatedReplicas: 2, readyReplicas: 2};
  await becomes({...seen, observedGeneration: 0});
  await fails('has not been looked at since its last change');
  await becomes({...seen, readyReplicas: 1});
  await fails('1 are ready');
  // All of them ready, and one of the release before.
  await becomes({...seen, replicas: 3, updatedReplicas: 1});
  await fails('has 3: 1 are of this release');
  await becomes(seen);
  await fails('an operator leads');
  const lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {name: 'pisync-operator', namespace: 'checked'},
  };
  await create({...lease, spec: {holderIdentity: 'pod'}} as unknown as KubeObject);
  await fails('pod holds the lease and has not renewed it');
  const renewal = setInterval(() => {
    void patch('/apis/coordination.k8s.io/v1/namespaces/checked/leases/pisync-operator', {
      spec: {renewTime: microTime(new Date())},
    });
  }, 500);
  try {
    const {code, output} = await runCheck('checked');
    expect(output).toContain('ok: a bad region is refused');
    expect(code).toBe(0);
  } finally {
    clearInterval(renewal);
  }
}, 90_000);

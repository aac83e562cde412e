import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {type ApiClient} from './api-client.ts';
import {type Desired} from './controller.ts';
import {type KubeObject, type ObjectRef, recordOf} from './object.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {eventually, forever, writingParts} from './testing/fixtures.ts';

let server: TestApiServer;
let client: ApiClient;
let owner: ObjectRef;

beforeAll(async () => {
  server = await startApiServer();
  client = server.client;
  // Any object can be an owner; the garbage collector does not run here.
  const {body} = await client.send({
    method: 'POST',
    path: '/api/v1/namespaces/default/configmaps',
    body: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'corner', namespace: 'default'}},
    signal: forever,
  });
  const {uid} = (body as KubeObject).metadata;
  owner = {apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'corner', uid};
}, 90_000);

afterAll(async () => {
  await server.stop();
}, 30_000);

const get = async (path: string): Promise<KubeObject> =>
  (await client.send({method: 'GET', path, signal: forever})).body as KubeObject;

const merge = async (path: string, body: unknown): Promise<void> => {
  await client.send({method: 'PATCH', path, contentType: 'application/merge-patch+json', body, signal: forever});
};

const configMap = (name: string, data: Record<string, string>): Desired => ({
  manifest: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name, namespace: 'default'}, data},
});

const deployment = (name: string, replicas: number | 'released', image = 'web:1'): Desired => ({
  manifest: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {name, namespace: 'default'},
    spec: {
      selector: {matchLabels: {app: name}},
      template: {metadata: {labels: {app: name}}, spec: {containers: [{name: 'web', image}]}},
    },
  },
  replicas,
});

test('gives in for a minute to somebody who changes an object as often as it is put right', async () => {
  const clock = new FakeClock();
  const {applier, caches} = writingParts(client, [{apiVersion: 'v1', kind: 'ConfigMap'}], clock);
  const path = '/api/v1/namespaces/default/configmaps/contested';
  const ours = configMap('contested', {owner: 'us'});
  await applier.apply(ours, owner, forever);
  const duel = async (): Promise<boolean> => {
    await merge(path, {data: {owner: 'them'}});
    caches.assume(await get(path));
    return (await applier.apply(ours, owner, forever)).repaired;
  };
  for (let round = 0; round < 20; round++) expect(await duel()).toBe(true);
  await expect(duel()).rejects.toMatchObject({kind: 'contested'});
  expect((await get(path))['data']).toEqual({owner: 'them'});
  clock.freeze(60_000);
  expect(await duel()).toBe(true);
  await expect(duel()).rejects.toMatchObject({kind: 'contested'});
  // Another wish is no repair.
  expect(await applier.apply(configMap('contested', {owner: 'we'}), owner, forever)).toMatchObject({repaired: false});
});

test('gives in as well where only the number of pods, or a generated value, is fought about', async () => {
  const {applier, caches} = writingParts(client, [{apiVersion: 'apps/v1', kind: 'Deployment'}], new FakeClock());
  const path = '/apis/apps/v1/namespaces/default/deployments/scaled';
  const ours = deployment('scaled', 2);
  await applier.apply(ours, owner, forever);
  const rescale = async (): Promise<string> => {
    await merge(`${path}/scale`, {spec: {replicas: 5}});
    for (const {store} of caches) store.put({...(await get(path)), apiVersion: 'apps/v1', kind: 'Deployment'});
    const {kind, repaired} = await applier.apply(ours, owner, forever);
    return `${kind} ${repaired}`;
  };
  for (let round = 0; round < 20; round++) expect(await rescale()).toBe('configured true');
  await expect(rescale()).rejects.toMatchObject({kind: 'contested'});

  const secret: Desired = {
    manifest: {apiVersion: 'v1', kind: 'Secret', metadata: {name: 'emptied', namespace: 'default'}},
    generated: {password: {bytes: 9, encoding: 'hex'}},
  };
  await applier.apply(secret, owner, forever);
  const empty = async () => {
    await merge('/api/v1/namespaces/default/secrets/emptied', {data: {password: null}});
    return applier.apply(secret, owner, forever);
  };
  for (let round = 0; round < 20; round++) expect((await empty()).repaired).toBe(true);
  await expect(empty()).rejects.toMatchObject({kind: 'contested'});
}, 30_000);

test('a policy that forbids a change for now is not taken for a field that cannot change', async () => {
  const {applier} = writingParts(client);
  const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
  const bindings = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings';
  const make = (path: string, body: object) => client.send({method: 'POST', path, body, signal: forever});
  await applier.apply(configMap('frozen', {v: '0'}), owner, forever);
  const rule = {apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['configmaps']};
  await make(policies, {
    metadata: {name: 'freeze'},
    spec: {
      matchConstraints: {resourceRules: [{...rule, resourceNames: ['frozen']}]},
      validations: [{expression: 'false', message: 'production cannot be changed during the freeze'}],
    },
  });
  await make(bindings, {metadata: {name: 'freeze'}, spec: {policyName: 'freeze', validationActions: ['Deny']}});
  let version = 0;
  let last: unknown;
  const outcome = (v: string): Promise<string> =>
    applier.apply(configMap('frozen', {v}), owner, forever).then(
      ({kind}) => kind,
      (error: unknown) => {
        last = error;
        return (error as {readonly kind?: string}).kind ?? String(error);
      },
    );
  const kind = await eventually(
    async () => {
      const found = await outcome(`${version++}`);
      return found === 'configured' || found === 'unchanged' ? undefined : found;
    },
    () => 'the policy is not in force',
  );
  expect({kind, said: String(last)}).toMatchObject({
    kind: 'refused',
    said: expect.stringContaining('during the freeze'),
  });
  await client.send({method: 'DELETE', path: `${bindings}/freeze`, signal: forever});
  await client.send({method: 'DELETE', path: `${policies}/freeze`, signal: forever});
  await eventually(
    async () => ((await outcome('lifted')) === 'configured' ? true : undefined),
    () => String(last),
  );
});

test('makes nothing of what it was told from a life that has ended', async () => {
  const {applier} = writingParts(client);
  const job: Desired = {
    manifest: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {name: 'done', namespace: 'default'},
      spec: {template: {spec: {restartPolicy: 'Never', containers: [{name: 'a', image: 'a:1'}]}}},
    },
  };
  const at = '/apis/batch/v1/namespaces/default/jobs/done';
  await applier.apply(job, owner, forever);
  const live = await get(at);
  const same: Desired = {
    manifest: {...job.manifest, spec: {template: recordOf(live['spec'])['template']}},
    life: live.metadata.uid,
  };
  expect((await applier.apply(same, owner, forever)).kind).toBe('configured');
  await client.send({method: 'DELETE', path: at, query: {propagationPolicy: 'Background'}, signal: forever});
  expect(await applier.apply(same, owner, forever)).toEqual({kind: 'unchanged', repaired: false});
  expect((await applier.apply(job, owner, forever)).kind).toBe('created');
  expect(await applier.apply(same, owner, forever)).toEqual({kind: 'unchanged', repaired: false});
});

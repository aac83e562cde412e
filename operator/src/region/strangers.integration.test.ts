import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {customResourceDefinition} from '../api/v1alpha1/crd.ts';
import {API_VERSION, KIND, PLURAL} from '../api/v1alpha1/group.ts';
import {ApiClient} from '../kube/api-client.ts';
import {systemClock} from '../kube/clock.ts';
import {Discovery} from '../kube/discovery.ts';
import {controllerOf, keyOf, type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {eventually, forever} from '../kube/testing/fixtures.ts';
import {KINDS} from './kinds.ts';
import {INSTANCE, MANAGED_BY, MANAGER} from './labels.ts';
import {playedControllers, type PlayedControllers} from './testing/played-controllers.ts';
import {regionEngine} from './testing/region-engine.ts';

/** The operator among objects of others, on a real API server; the test plays the controllers. */
let server: TestApiServer;
let played: PlayedControllers;
let discovery: Discovery;
let ended: Promise<void> | undefined;
const stop = new AbortController();
let log: ReturnType<typeof regionEngine>['log'];
const REGIONS = `/apis/${API_VERSION}/namespaces/default/${PLURAL}`;

beforeAll(async () => {
  server = await startApiServer();
  discovery = new Discovery(server.client, systemClock);
  played = playedControllers(server, discovery);
  await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customResourceDefinition());
  const operator = regionEngine(server);
  ({log} = operator);
  ended = operator.engine.run(stop.signal);
}, 90_000);

afterAll(async () => {
  stop.abort();
  await ended;
  await server.stop();
}, 30_000);

const get = async (path: string): Promise<KubeObject> =>
  // What is asked for exists.
  (await server.client.send({method: 'GET', path, signal: forever})).body as KubeObject;

const send = async (method: 'POST' | 'PATCH' | 'DELETE', path: string, body: object): Promise<unknown> => {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return (await server.client.send({method, path, body, contentType, signal: forever})).body;
};

const named = async (): Promise<readonly string[]> => {
  const kinds = Object.values(KINDS).filter((kind) => kind !== KINDS.httpRoute);
  return (await Promise.all(kinds.map((kind) => played.children(kind))))
    .flat()
    .map(({kind, metadata}) => `${kind}/${metadata.name}`);
};

/** Makes a region, as soon as its kind is served. */
const declare = (name: string, ingress: object, more: object = {}): Promise<unknown> => {
  const spec = {region: name, postgres: {shards: 1}, ingress, ...more};
  const body = {apiVersion: API_VERSION, kind: KIND, metadata: {name}, spec};
  return eventually(
    () => send('POST', REGIONS, body).catch(() => undefined),
    () => 'the kind of regions is not served',
  );
};

const becomes = (
  name: string,
  what: string,
  isSo: (region: KubeObject, children: readonly string[]) => boolean,
): Promise<true> => {
  let last: unknown;
  return eventually(
    async () => {
      await played.play();
      const region = await get(`${REGIONS}/${name}`);
      const children = await named();
      last = [region['status'], children];
      return isSo(region, children) ? true : undefined;
    },
    () => `${name} is not ${what}: ${JSON.stringify(last)}; log:\n${log.lines.slice(-20).join('\n')}`,
    40_000,
  );
};

const isReady = (region: KubeObject): boolean => JSON.stringify(region['status'] ?? {}).includes('"phase":"Ready"');

test('a region takes nothing of strangers with its names into use, and keeps its facts whatever its keeper makes of them', async () => {
  const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles';
  const services = '/api/v1/namespaces/default/services';
  const secrets = {apiGroups: [''], resources: ['secrets'], verbs: ['get']};
  await send('POST', roles, {metadata: {name: 'billing-keeper'}, rules: [secrets]});
  await send('POST', services, {metadata: {name: 'billing-admin-api'}, spec: {ports: [{port: 80}]}});
  const ingress = {host: 'billing.sync.example.com', adminHost: 'billing.admin.example.com'};
  await declare('billing', ingress);
  await becomes('billing', 'made as far as it can be', (_region, children) =>
    children.includes('Deployment/billing-admin-api'),
  );
  const waiting = ['RoleBinding/billing-keeper', 'Deployment/billing-keeper', 'Ingress/billing-admin-api'];
  expect((await named()).filter((name) => waiting.includes(name))).toEqual([]);
  expect(JSON.stringify(await get(`${REGIONS}/billing`))).toContain('"reason":"Conflict"');

  await send('DELETE', `${roles}/billing-keeper`, {});
  await send('DELETE', `${services}/billing-admin-api`, {});
  await becomes(
    'billing',
    'ready',
    (region, children) => isReady(region) && waiting.every((name) => children.includes(name)),
  );

  const token = await send('POST', '/api/v1/namespaces/default/serviceaccounts/billing-keeper/token', {spec: {}});
  // A TokenRequest answers with the token.
  const headers = {authorization: `Bearer ${(token as {readonly status: {readonly token: string}}).status.token}`};
  const keeper = new ApiClient({
    credentials: async () => ({...(await server.credentials()), headers}),
    clock: systemClock,
    userAgent: 'keeper',
  });
  const labels = {'app.kubernetes.io/managed-by': 'Helm', 'app.kubernetes.io/instance': 'other'};
  const facts = '/api/v1/namespaces/default/configmaps/billing-facts';
  const told = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'billing-facts'}, data: {'slot-map.json': '{}'}};
  const apply = {contentType: 'application/apply-patch+yaml', query: {fieldManager: 'keeper', force: 'true'}} as const;
  try {
    await keeper.send({method: 'PATCH', path: facts, ...apply, body: told, signal: forever});
    const body = {metadata: {labels, ownerReferences: null}};
    const contentType = 'application/merge-patch+json';
    await keeper.send({method: 'PATCH', path: facts, contentType, body, signal: forever});
  } finally {
    await keeper.close();
  }
  let seen: unknown;
  await eventually(
    async () => {
      const {metadata} = await get(facts);
      seen = metadata;
      return metadata.labels?.[INSTANCE] === 'billing' && controllerOf({metadata})?.name === 'billing'
        ? true
        : undefined;
    },
    () => `the facts are ${JSON.stringify(seen)}; log:\n${log.lines.slice(-20).join('\n')}`,
  );
  await becomes('billing', 'ready', isReady);
}, 120_000);

test('an Ingress with the labels and the owner of an older region costs no other region its route', async () => {
  for (const name of ['older', 'younger']) {
    await declare(name, {host: `${name}.sync.example.com`});
    await becomes(name, 'ready', isReady);
  }
  const ingresses = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';
  const route = `${ingresses}/younger-device-api`;
  const before = await get(route);

  const {uid} = (await get(`${REGIONS}/older`)).metadata;
  const owner = {apiVersion: API_VERSION, kind: KIND, name: 'older', uid, controller: true};
  const backend = {service: {name: 'older-device-api', port: {number: 80}}};
  await send('POST', ingresses, {
    metadata: {name: 'forged', labels: {[MANAGED_BY]: MANAGER, [INSTANCE]: 'nobody'}, ownerReferences: [owner]},
    spec: {rules: [{host: 'younger.sync.example.com', http: {paths: [{path: '/', pathType: 'Prefix', backend}]}}]},
  });
  // Passes that know of it.
  await send('PATCH', `${REGIONS}/younger`, {spec: {ingress: {adminHost: 'younger.admin.example.com'}}});
  const endpoints = {device: 'http://younger.sync.example.com', admin: 'http://younger.admin.example.com'};
  const hosts = [{host: 'younger.sync.example.com'}, {host: 'younger.admin.example.com'}];
  const isRouted = ({status}: KubeObject): boolean => {
    const said = JSON.stringify(status ?? {});
    return said.includes(JSON.stringify(hosts)) && Object.values(endpoints).every((url) => said.includes(`"${url}"`));
  };
  await becomes('younger', 'routed and ready', (region) => isRouted(region) && isReady(region));
  expect((await get(route)).metadata.uid).toBe(before.metadata.uid);
}, 120_000);

test('a region that is made again at once begins when the data of the earlier one is gone', async () => {
  const path = `${REGIONS}/again`;
  const made = () => declare('again', {}, {deletionPolicy: 'Delete'});
  const is = (what: string) =>
    becomes('again', what, (region) => JSON.stringify(region['status'] ?? '').includes(what));
  const body = {kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background'};
  await made();
  await is('"phase":"Ready"');
  const set = await get('/apis/apps/v1/namespaces/default/statefulsets/again-rabbitmq');
  const {apiVersion, kind, metadata} = {...set, ...KINDS.statefulSet};
  await send('POST', '/api/v1/namespaces/default/persistentvolumeclaims', {
    metadata: {
      name: 'data-again-rabbitmq-0',
      labels: metadata.labels,
      ownerReferences: [{apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true}],
    },
    spec: {accessModes: ['ReadWriteOnce'], resources: {requests: {storage: '5Gi'}}},
  });
  await send('DELETE', path, body);
  await made();
  await is('"reason":"EarlierRegionRemains"');

  // As the garbage collector does it, the claims last.
  const kinds = [KINDS.configMap, KINDS.deployment, KINDS.statefulSet, KINDS.secret, KINDS.job, KINDS.volumeClaim];
  const found = (await Promise.all(kinds.map((one) => played.children(one)))).flat();
  const data = found.filter((object) => object.metadata.labels?.[INSTANCE] === 'again');
  expect(data.at(-1)?.metadata.name).toBe('data-again-rabbitmq-0');
  for (const object of data) {
    const at = await discovery.objectPath(keyOf(object), forever);
    await is('"reason":"EarlierRegionRemains"');
    // One of them protects a claim, and the controller that takes it away does not run here.
    await send('PATCH', at, {metadata: {finalizers: null}});
    await send('DELETE', at, body);
  }
  await is('"phase":"Ready"');
  const uids = new Set(data.map((object) => object.metadata.uid));
  const now = (await Promise.all(kinds.map((one) => played.children(one)))).flat();
  expect(now.filter((object) => uids.has(object.metadata.uid))).toEqual([]);
}, 120_000);

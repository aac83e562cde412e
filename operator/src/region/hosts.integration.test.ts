import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {customResourceDefinition} from '../api/v1alpha1/crd.ts';
import {API_VERSION, KIND, PLURAL} from '../api/v1alpha1/group.ts';
import {type RegionStatus} from '../api/v1alpha1/status.ts';
import {type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {eventually, forever} from '../kube/testing/fixtures.ts';
import {regionEngine} from './testing/region-engine.ts';

/** Two namespaces of one operator, which may not see the second one yet, on a real API server. */
let server: TestApiServer;
let ended: Promise<void> | undefined;
let log: ReturnType<typeof regionEngine>['log'];
const stop = new AbortController();
const HOST = 'eu.sync.example.com';
const regions = (namespace: string): string => `/apis/${API_VERSION}/namespaces/${namespace}/${PLURAL}`;

beforeAll(async () => {
  server = await startApiServer();
}, 90_000);

afterAll(async () => {
  stop.abort();
  await ended;
  await server.stop();
}, 30_000);

const send = async (method: 'POST' | 'PATCH', path: string, body: object): Promise<unknown> => {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return (await server.client.send({method, path, body, contentType, signal: forever})).body;
};

const bind = (namespace: string): Promise<unknown> =>
  send('POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
    metadata: {name: 'limited'},
    roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin'},
    subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'limited'}],
  });

const declare = (namespace: string, name = 'eu', host = HOST): Promise<unknown> =>
  eventually(
    () =>
      send('POST', regions(namespace), {
        apiVersion: API_VERSION,
        kind: KIND,
        metadata: {name},
        spec: {region: namespace, postgres: {shards: 1}, ingress: {host, className: 'nginx'}},
      }).catch(() => undefined),
    () => 'the kind of regions is not served',
  );

test('a host of a region that is not seen is given to no other one', async () => {
  await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customResourceDefinition());
  for (const name of ['blue', 'green']) await send('POST', '/api/v1/namespaces', {metadata: {name}});
  for (const namespace of ['default', 'blue']) await bind(namespace);
  // The one that asks is older.
  for (const namespace of ['blue', 'green']) await declare(namespace);
  await send('PATCH', `${regions('green')}/eu/status`, {status: {hosts: [{host: HOST, className: 'nginx'}]}});
  const operator = regionEngine(server, 'limited', {
    namespaces: ['blue', 'green'],
    credentials: async () => {
      const credentials = await server.credentials();
      return {...credentials, headers: {...credentials.headers, 'impersonate-user': 'limited'}};
    },
  });
  ({log} = operator);
  ended = operator.engine.run(stop.signal);
  const blueSays = (message: RegExp): Promise<RegionStatus> => {
    let last = '';
    return eventually(
      async () => {
        const {body} = await server.client.send({method: 'GET', path: `${regions('blue')}/eu`, signal: forever});
        // The path of a region answers a region.
        const status = (body as KubeObject)['status'] as RegionStatus | undefined;
        last = JSON.stringify(status ?? {});
        expect(last).not.toContain('"hosts"');
        const route = status?.conditions?.find(({type}) => type === 'RouteReady');
        return message.test(route?.message ?? '') ? status : undefined;
      },
      () => `the status is ${last}; log:\n${log.lines.slice(-20).join('\n')}`,
      60_000,
    );
  };
  await blueSays(/waits until the regions of namespace green are seen/);
  await bind('green');
  await blueSays(/is already that of region green\/eu at Ingress class nginx/);
}, 120_000);

/** The definition of an operator that did not say these yet. */
const withoutInStatus = (...fields: readonly string[]): Promise<unknown> => {
  const text = JSON.stringify(customResourceDefinition(), (key, value: unknown) =>
    fields.includes(key) ? undefined : value,
  );
  // As it was serialized.
  const {spec} = JSON.parse(text) as {readonly spec: object};
  return send('PATCH', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${PLURAL}.pisync.io`, {spec});
};

const shown = (path: string, pattern: RegExp): Promise<string> => {
  let last = '';
  return eventually(
    async () => {
      last = await server.client.send({method: 'GET', path, signal: forever}).then(
        ({body}) => JSON.stringify(body),
        () => '',
      );
      return pattern.test(last) ? last : undefined;
    },
    () => `${path} is ${last}; log:\n${log.lines.slice(-20).join('\n')}`,
    60_000,
  );
};

test('an older definition costs no host its region, nor a region its summary', async () => {
  const ingresses = '/apis/networking.k8s.io/v1/namespaces/green/ingresses';
  await withoutInStatus('readyShards');
  await declare('green', 'one', 'one.example.com');
  await shown(`${ingresses}/one-device-api`, /"one.example.com"/);
  const one = await shown(`${regions('green')}/one`, /"hosts":\[\{"className":"nginx","host":"one.example.com"/);
  expect(one).not.toContain('readyShards');

  await withoutInStatus('readyShards', 'hosts');
  await declare('green', 'two', 'two.example.com');
  await shown(`${regions('green')}/two`, /"type":"Ready"/);
  // A pass that had nothing left to write.
  await eventually(
    () => (log.lines.some((line) => line.startsWith('refused') && line.includes('green/two')) ? true : undefined),
    () => log.lines.slice(-20).join('\n'),
  );
  expect(await shown(ingresses, /"one.example.com"/)).not.toContain('two.example.com');
}, 120_000);

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import {API_VERSION, KIND, PLURAL} from '../api/v1alpha1/group.ts';
import {systemClock} from '../kube/clock.ts';
import {Discovery} from '../kube/discovery.ts';
import {createEngine} from '../kube/engine.ts';
import {type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {eventually, forever, randomText, testLog, testMetrics} from '../kube/testing/fixtures.ts';
import {regionController} from '../region/controller.ts';
import {KINDS} from '../region/kinds.ts';
import {IDENTITY} from '../region/labels.ts';
import {playedControllers} from '../region/testing/played-controllers.ts';
import {RELEASE} from '../region/testing/simulated-region.ts';
import {IMAGES, OPERATOR_CHART, startHelm, type Helm} from './testing/helm.ts';

/** The operator with the rights that the chart gives it, and no others. */
let server: TestApiServer;
let helm: Helm;
const LEASE = 'pisync-operator';

beforeAll(async () => {
  server = await startApiServer();
  helm = await startHelm(server);
}, 90_000);

afterAll(async () => {
  await helm.stop();
  await server.stop();
}, 30_000);

const post = async (path: string, body: object): Promise<unknown> =>
  (await server.client.send({method: 'POST', path, body, signal: forever})).body;

/** Starts an operator as the account of the release in that namespace. */
const startAs = async (namespace: string, namespaces: readonly string[]) => {
  const body = await post(`/api/v1/namespaces/${namespace}/serviceaccounts/${LEASE}/token`, {spec: {}});
  // A TokenRequest answers with the token.
  const {token} = (body as {readonly status: {readonly token: string}}).status;
  const log = testLog();
  const engine = createEngine({
    name: 'pisyncregion',
    controller: regionController(RELEASE, systemClock),
    identity: IDENTITY,
    credentials: async () => ({...(await server.credentials()), headers: {authorization: `Bearer ${token}`}}),
    userAgent: `operator-of-${namespace}`,
    namespaces,
    workers: 2,
    lease: {namespace, name: LEASE, identity: 'test'},
    clock: systemClock,
    random: Math.random,
    randomText,
    metrics: testMetrics(),
    log,
  });
  const stop = new AbortController();
  const ended = engine.run(stop.signal);
  return {
    log,
    stop: async () => {
      stop.abort();
      await ended;
    },
  };
};

const forbidden = async (userAgent: string): Promise<readonly string[]> =>
  (await server.audit())
    .filter((line) => line.userAgent === userAgent && line.responseStatus?.code === 403)
    .map(({verb, requestURI}) => `${verb} ${requestURI}`);

test.each([
  ['in the whole cluster', 'wide', [], []],
  ['in one namespace', 'narrow', ['narrow'], ['--set', 'namespaces={narrow},aggregatedRoles.enabled=false']],
])(
  'is allowed everything that it does %s',
  async (_, namespace, namespaces, args) => {
    const installed = await helm.run(
      ...['install', 'pisync', OPERATOR_CHART, '--namespace', namespace, '--create-namespace', '--wait=false'],
      ...['--take-ownership', ...IMAGES, ...args],
    );
    expect(installed).toMatchObject({ok: true});
    const operator = await startAs(namespace, namespaces);
    const regions = `/apis/${API_VERSION}/namespaces/${namespace}/${PLURAL}`;
    const played = playedControllers(server, new Discovery(server.client, systemClock), namespace);
    let last: unknown;
    const becomes = (phase: string) =>
      eventually(
        async () => {
          await played.play();
          const {body} = await server.client.send({method: 'GET', path: `${regions}/eu`, signal: forever});
          // The status of a region, where it has one.
          last = (body as KubeObject)['status'];
          return (last as {readonly phase?: string} | undefined)?.phase === phase ? true : undefined;
        },
        () => `status is ${JSON.stringify(last)}; log:\n${operator.log.lines.slice(-20).join('\n')}`,
        40_000,
      );
    const edit = (spec: object) =>
      server.client.send({
        method: 'PATCH',
        path: `${regions}/eu`,
        contentType: 'application/merge-patch+json',
        body: {spec},
        signal: forever,
      });
    try {
      const ingress = {host: `${namespace}.sync.example.com`, adminHost: `${namespace}.admin.example.com`};
      await post(regions, {apiVersion: API_VERSION, kind: KIND, metadata: {name: 'eu'}, spec: {region: 'eu', ingress}});
      await becomes('Ready');
      // A growth is taken back before its shard was up.
      const sets = async () => (await played.children(KINDS.statefulSet)).map(({metadata}) => metadata.name);
      for (const shards of [3, 2]) {
        await edit({postgres: {shards}});
        await eventually(
          async () => ((await sets()).length === shards + 1 ? true : undefined),
          () => `log:\n${operator.log.lines.slice(-20).join('\n')}`,
        );
      }
      await becomes('Ready');
      // What comes and goes with the spec goes.
      await edit({
        ingress: {enabled: false},
        networkPolicy: {enabled: false},
        workers: {replicas: 1, autoscaling: {enabled: false}},
        deviceApi: {replicas: 1, autoscaling: {enabled: false}},
      });
      await eventually(
        async () => {
          const left = (
            await Promise.all([KINDS.ingress, KINDS.networkPolicy].map((kind) => played.children(kind)))
          ).flat();
          return left.length === 0 ? true : undefined;
        },
        () => `Ingress or NetworkPolicies are left; log:\n${operator.log.lines.slice(-20).join('\n')}`,
      );
      await becomes('Ready');
    } finally {
      await operator.stop();
    }
    expect(await forbidden(`operator-of-${namespace}`)).toEqual([]);
    // The next operator looks after the same cluster.
    await server.client.send({method: 'DELETE', path: `${regions}/eu`, signal: forever});
  },
  120_000,
);

test('may delete no data and no region', async () => {
  const {output} = await helm.run(
    'template',
    'pisync',
    OPERATOR_CHART,
    ...IMAGES,
    '--show-only',
    'templates/rbac.yaml',
  );
  // Rendered roles have rules; bindings have none.
  const rules = parseAllDocuments(output).flatMap(
    (document) =>
      (document.toJS() as {readonly rules?: readonly {readonly resources: string[]; readonly verbs: string[]}[]})
        .rules ?? [],
  );
  const granted = (verbs: readonly string[]) =>
    rules.filter((rule) => rule.verbs.some((verb) => verbs.includes(verb))).flatMap(({resources}) => resources);
  expect(granted(['delete']).toSorted()).toEqual([
    'configmaps',
    'deployments',
    'horizontalpodautoscalers',
    'httproutes',
    'ingresses',
    'jobs',
    'networkpolicies',
    'poddisruptionbudgets',
    'rolebindings',
    'roles',
    'serviceaccounts',
    'services',
    'statefulsets',
  ]);
  expect(granted(['deletecollection', '*', 'escalate', 'bind', 'impersonate'])).toEqual([]);
  expect(granted(['update']).toSorted()).toEqual(['leases', 'pisyncregions/finalizers']);
  expect(rules.filter(({resources, verbs}) => resources.includes('*') || verbs.includes('*'))).toEqual([]);
});

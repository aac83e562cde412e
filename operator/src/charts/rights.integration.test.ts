import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {API_VERSION, KIND, PLURAL} from '../api/v1alpha1/group.ts';
import {systemClock} from '../kube/clock.ts';
import {Discovery} from '../kube/discovery.ts';
import {createEngine} from '../kube/engine.ts';
import {controllerOf, type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {eventually, forever, randomText, testLog, testMetrics} from '../kube/testing/fixtures.ts';
import {regionController} from '../region/controller.ts';
import {KINDS} from '../region/kinds.ts';
import {IDENTITY, MANAGED_BY, MANAGER, selectorOf} from '../region/labels.ts';
import {playedControllers} from '../region/testing/played-controllers.ts';
import {RELEASE} from '../region/testing/simulated-region.ts';
import {installGatewayApi, leaveFormerChildren, makeClaim} from './testing/surroundings.ts';
import {IMAGES, OPERATOR_CHART, startHelm, type Helm} from './testing/helm.ts';
import {granted, rulesOf, used} from './testing/rights.ts';

/** The operator with the rights that the chart gives it, and no others, where ownerReferences are protected. */
let server: TestApiServer;
let helm: Helm;
const LEASE = 'pisync-operator';

beforeAll(async () => {
  server = await startApiServer('--enable-admission-plugins=OwnerReferencesPermissionEnforcement');
  helm = await startHelm(server);
  await installGatewayApi(server.client);
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

const install = (namespace: string, args: readonly string[]) =>
  helm.run(
    ...['install', 'pisync', OPERATOR_CHART, '--namespace', namespace, '--create-namespace', '--wait=false'],
    ...['--take-ownership', ...IMAGES, ...args],
  );

const rightsOf = async (namespace: string, args: readonly string[]): Promise<readonly string[]> => {
  const {output} = await helm.run(
    ...['template', 'pisync', OPERATOR_CHART, '--namespace', namespace, '--show-only', 'templates/rbac.yaml'],
    ...[...IMAGES, ...args],
  );
  return granted(output);
};

const regionsIn = (namespace: string): string => `/apis/${API_VERSION}/namespaces/${namespace}/${PLURAL}`;

/** The region `eu` of a namespace in which `operator` works and everything runs at once. */
const regionOf = (operator: Awaited<ReturnType<typeof startAs>>, namespace: string) => {
  const path = `${regionsIn(namespace)}/eu`;
  const played = playedControllers(server, new Discovery(server.client, systemClock), namespace);
  const logged = () => `log:\n${operator.log.lines.slice(-20).join('\n')}`;
  let last: unknown;
  return {
    played,
    logged,
    becomes: (phase: string) =>
      eventually(
        async () => {
          await played.play();
          const {body} = await server.client.send({method: 'GET', path, signal: forever});
          // The status of a region, where it has one.
          last = (body as KubeObject)['status'];
          return (last as {readonly phase?: string} | undefined)?.phase === phase ? true : undefined;
        },
        () => `status is ${JSON.stringify(last)}; ${logged()}`,
        40_000,
      ),
    edit: (spec: object) =>
      server.client.send({
        method: 'PATCH',
        path,
        contentType: 'application/merge-patch+json',
        body: {spec},
        signal: forever,
      }),
    // The next operator looks after the same cluster.
    remove: () => server.client.send({method: 'DELETE', path, signal: forever}),
  };
};

/** Asked for where ownerReferences are protected, and never as a call of its own. */
const NO_CALL = ['update pisync.io/pisyncregions/finalizers'];

test.each([
  ['in the whole cluster', 'wide', 'wide', []],
  ['in another namespace alone', 'narrow', 'tenant', ['--set', 'namespaces={tenant},aggregatedRoles.enabled=false']],
])(
  'is allowed everything that it does %s, also of a region that it held under another name, and nothing besides',
  async (_, namespace, tenant, args) => {
    if (tenant !== namespace) await post('/api/v1/namespaces', {metadata: {name: tenant}});
    expect(await install(namespace, args)).toMatchObject({ok: true});
    const operator = await startAs(namespace, tenant === namespace ? [] : [tenant]);
    const {played, logged, becomes, edit, remove} = regionOf(operator, tenant);
    try {
      // From a backup: nobody has labelled it.
      await makeClaim(server.client, tenant, 'data-eu-pg-0-0');
      const ingress = {host: `${namespace}.sync.example.com`, adminHost: `${namespace}.admin.example.com`};
      const annotations = {[IDENTITY.holderAnnotation]: `${namespace}/former-operator`};
      const spec = {region: 'eu', ingress};
      await post(regionsIn(tenant), {apiVersion: API_VERSION, kind: KIND, metadata: {name: 'eu', annotations}, spec});
      await becomes('Ready');
      // A growth is taken back before its shard was up.
      const sets = async () => (await played.children(KINDS.statefulSet)).map(({metadata}) => metadata.name);
      for (const shards of [3, 2]) {
        await edit({postgres: {shards}});
        await eventually(async () => ((await sets()).length === shards + 1 ? true : undefined), logged);
      }
      await becomes('Ready');
      // Children of a version before, which this one does not have.
      const isLeft = await leaveFormerChildren(server.client, played, tenant);
      await eventually(async () => ((await isLeft()) ? undefined : true), logged);
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
      await edit({ingress: {enabled: true, gatewayRef: {name: 'web'}}});
      const routes = async () => (await played.children(KINDS.httpRoute)).length;
      await eventually(async () => ((await routes()) === 2 ? true : undefined), logged);
      await edit({ingress: {enabled: false}});
      await eventually(async () => ((await routes()) === 0 ? true : undefined), logged);
    } finally {
      await operator.stop();
    }
    expect(await forbidden(`operator-of-${namespace}`)).toEqual([]);
    const seen = used(await server.audit(), `operator-of-${namespace}`);
    expect((await rightsOf(namespace, args)).filter((right) => !seen.has(right))).toEqual(NO_CALL);
    await remove();
  },
  120_000,
);

test('may say with what data goes where ownerReferences are protected, if the chart is told so, and deletes none', async () => {
  const args = ['--set', 'namespaces={guarded},aggregatedRoles.enabled=false,rbac.protectedOwnerReferences=true'];
  const before = await rightsOf('guarded', ['--set', 'namespaces={guarded}']);
  const more = (await rightsOf('guarded', args)).filter((right) => !before.includes(right));
  expect(more).toEqual(['delete /secrets', 'delete /persistentvolumeclaims']);

  expect(await install('guarded', args)).toMatchObject({ok: true});
  const operator = await startAs('guarded', ['guarded']);
  const {played, logged, becomes, edit, remove} = regionOf(operator, 'guarded');
  /** What goes with the region itself. */
  const owned = async (): Promise<readonly string[]> =>
    (await Promise.all([KINDS.secret, KINDS.volumeClaim].map((kind) => played.children(kind))))
      .flat()
      .filter((child) => controllerOf(child)?.kind === KIND)
      .map(({metadata}) => metadata.name)
      .toSorted();
  const expectOwned = async (names: readonly string[]): Promise<void> => {
    let last: readonly string[] = [];
    await eventually(
      async () => {
        last = await owned();
        return last.join() === names.join() ? true : undefined;
      },
      () => `${last.join()} are owned; ${logged()}`,
    );
  };
  const secrets = ['eu-audit', 'eu-bootstrap', 'eu-pg-0', 'eu-pg-1', 'eu-rabbitmq', 'eu-redis', 'eu-signing'];
  try {
    const ingress = {host: 'guarded.sync.example.com', adminHost: 'guarded.admin.example.com'};
    const spec = {region: 'eu', ingress, deletionPolicy: 'Delete'};
    await post(regionsIn('guarded'), {apiVersion: API_VERSION, kind: KIND, metadata: {name: 'eu'}, spec});
    await becomes('Ready');
    // Of a growth that was taken back.
    await makeClaim(server.client, 'guarded', 'data-eu-pg-2-0', {
      ...selectorOf('eu', 'postgres', 2),
      [MANAGED_BY]: MANAGER,
    });
    await expectOwned(['data-eu-pg-2-0', ...secrets]);
    await edit({deletionPolicy: 'Retain'});
    await expectOwned([]);
    await edit({deletionPolicy: 'Delete'});
    await expectOwned(['data-eu-pg-2-0', ...secrets]);
    await becomes('Ready');
    await edit({deletionPolicy: 'Retain'});
    await expectOwned([]);
  } finally {
    await operator.stop();
  }
  expect(await forbidden('operator-of-guarded')).toEqual([]);
  const seen = used(await server.audit(), 'operator-of-guarded');
  expect(more.filter((right) => seen.has(right))).toEqual([]);
  await remove();
}, 120_000);

test('may delete no data and no region', async () => {
  const {output} = await helm.run(
    'template',
    'pisync',
    OPERATOR_CHART,
    ...IMAGES,
    '--show-only',
    'templates/rbac.yaml',
  );
  const rules = rulesOf(output);
  const resourcesOf = (verbs: readonly string[]) =>
    rules.filter((rule) => rule.verbs.some((verb) => verbs.includes(verb))).flatMap(({resources}) => resources);
  expect(resourcesOf(['delete']).toSorted()).toEqual([
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
  expect(resourcesOf(['deletecollection', '*', 'escalate', 'bind', 'impersonate'])).toEqual([]);
  expect(resourcesOf(['update']).toSorted()).toEqual(['leases', 'pisyncregions/finalizers']);
  expect(rules.filter(({resources, verbs}) => resources.includes('*') || verbs.includes('*'))).toEqual([]);
});

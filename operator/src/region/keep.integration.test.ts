import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {runInNewContext} from 'node:vm';
import {setFlagsFromString} from 'node:v8';
import {customResourceDefinition} from '../api/v1alpha1/crd.ts';
import {API_VERSION, KIND, PLURAL} from '../api/v1alpha1/group.ts';
import {type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {eventually, forever} from '../kube/testing/fixtures.ts';
import {ACCEPTED, INSTANCE, MANAGED_BY, MANAGER} from './labels.ts';
import {regionEngine} from './testing/region-engine.ts';

/** What the operator keeps in memory of objects that bear its label, on a real API server. */
let server: TestApiServer;
let ended: Promise<void> | undefined;
let log: ReturnType<typeof regionEngine>['log'];
const stop = new AbortController();
const REGIONS = `/apis/${API_VERSION}/namespaces/default/${PLURAL}`;
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const SECRETS = '/api/v1/namespaces/default/secrets';
const COUNT = 120;

const post = async (path: string, body: object): Promise<KubeObject> =>
  // The answer to the creation of an object is the object.
  (await server.client.send({method: 'POST', path, body, signal: forever})).body as KubeObject;

const createRegion = (name: string, region: string): Promise<unknown> =>
  eventually(
    () => post(REGIONS, {apiVersion: API_VERSION, kind: KIND, metadata: {name}, spec: {region}}).catch(() => undefined),
    () => 'the kind of regions is not served',
  );

const labels = (instance: string) => ({[MANAGED_BY]: MANAGER, [INSTANCE]: instance});

const SIZE = 900 * 1024;

/** What anybody may create, of 900 KiB each: for a region that does not exist and for one that does, of an owner with such a name, of a claim with such a name. */
const FOREIGN: readonly ((name: string, text: string) => Promise<unknown>)[] = [
  (name, a) => post(CONFIG_MAPS, {metadata: {name, labels: labels('nobody')}, data: {a}}),
  (name, a) => post(CONFIG_MAPS, {metadata: {name, labels: labels('eu')}, data: {a}}),
  (name, owner) => {
    const ownerReferences = [{apiVersion: 'a/v1', kind: 'Nope', name: owner, uid: 'z', controller: true}];
    return post(CONFIG_MAPS, {metadata: {name, labels: {[MANAGED_BY]: MANAGER}, ownerReferences}});
  },
  (name, claimName) =>
    post(PODS, {
      metadata: {name, labels: labels('eu')},
      spec: {
        automountServiceAccountToken: false,
        containers: [{name: 'c', image: 'x'}],
        volumes: [{name: 'v', persistentVolumeClaim: {claimName}}],
      },
    }),
];

const createForeign = async (prefix: string): Promise<void> => {
  for (let number = 0; number < COUNT; number++) {
    const text = String(number % 10).repeat(SIZE);
    await FOREIGN[number % FOREIGN.length]?.(`${prefix}-${number}`, text);
  }
};

/** MiB of the heap that are in use. */
const heapMb = (): number => {
  setFlagsFromString('--expose-gc');
  // V8's own function, which has no type of its own here.
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

const start = (): ReturnType<typeof regionEngine>['engine'] => {
  const started = regionEngine(server);
  log = started.log;
  ended = started.engine.run(stop.signal);
  return started.engine;
};

const statusOf = async (name: string, says: string): Promise<unknown> => {
  let last = '';
  return eventually(
    async () => {
      const {body} = await server.client.send({method: 'GET', path: `${REGIONS}/${name}`, signal: forever});
      // The path of a region answers a region.
      last = JSON.stringify((body as KubeObject)['status'] ?? {});
      return last.includes(says) ? true : undefined;
    },
    () => `the status is ${last}; log:\n${log.lines.slice(-20).join('\n')}`,
    60_000,
  );
};

beforeAll(async () => {
  server = await startApiServer();
  await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customResourceDefinition());
  // No controllers run that would make it, and without it there are no pods.
  await post('/api/v1/namespaces/default/serviceaccounts', {metadata: {name: 'default'}});
}, 90_000);

afterAll(async () => {
  stop.abort();
  await ended;
  await server.stop();
}, 30_000);

test('objects of a megabyte fill no memory for bearing its label, and what came before its region is known to it', async () => {
  await createRegion('eu', 'eu-west');
  await createForeign('before');
  const storage = {size: '5Gi'};
  const accepted = {version: 2, region: 'us-east', postgres: {shards: 1, storage}, rabbitmq: {partitions: 8, storage}};
  await post(SECRETS, {
    metadata: {name: 'us-bootstrap', labels: labels('us'), annotations: {[ACCEPTED]: JSON.stringify(accepted)}},
    stringData: {token: 'kept'},
  });

  const atFirstMb = heapMb();
  const engine = start();
  await eventually(
    () => (engine.ready().ok && engine.isLeader() ? true : undefined),
    () => log.lines.slice(-20).join('\n'),
    60_000,
  );
  await statusOf('eu', 'waits');
  await createForeign('while');
  // Of that watch: the last of them was seen.
  await createRegion('us', 'us-west');
  await statusOf('us', 'InvalidSpec');
  expect(heapMb() - atFirstMb).toBeLessThan(40);
}, 240_000);

import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {setTimeout as sleep} from 'node:timers/promises';
import {customResourceDefinition} from '../api/v1alpha1/crd.ts';
import {API_VERSION, KIND, PLURAL} from '../api/v1alpha1/group.ts';
import {systemClock} from '../kube/clock.ts';
import {Discovery} from '../kube/discovery.ts';
import {controllerOf, keyOf, keyText, type Kind, type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {eventually, forever} from '../kube/testing/fixtures.ts';
import {KINDS} from './kinds.ts';
import {INSTANCE} from './labels.ts';
import {CERTIFICATE, KEY} from './testing/certificates.ts';
import {playedControllers} from './testing/played-controllers.ts';
import {regionEngine} from './testing/region-engine.ts';

/**
 * The operator on a real API server without a kubelet and without controllers: what it sends is judged by the server's own validation, and the test
 * plays the controllers.
 */
let server: TestApiServer;
let discovery: Discovery;
const running: {readonly stop: AbortController; readonly ended: Promise<void>}[] = [];
const REGIONS = `/apis/${API_VERSION}/namespaces/default/${PLURAL}`;

beforeAll(async () => {
  server = await startApiServer();
  discovery = new Discovery(server.client, systemClock);
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  await server.client.send({method: 'POST', path, body: customResourceDefinition(), signal: forever});
}, 90_000);

afterEach(async () => {
  for (const {stop, ended} of running.splice(0)) {
    stop.abort();
    await ended;
  }
}, 30_000);

afterAll(async () => {
  await server.stop();
}, 30_000);

const start = (userAgent: string): ReturnType<typeof regionEngine>['log'] => {
  const {engine, log} = regionEngine(server, userAgent);
  const stop = new AbortController();
  running.push({stop, ended: engine.run(stop.signal)});
  return log;
};

/** Makes a region, as soon as its kind is served. */
const declare = (name: string, spec: object): Promise<unknown> => {
  const body = {apiVersion: API_VERSION, kind: KIND, metadata: {name}, spec};
  let last: unknown;
  return eventually(
    async () =>
      server.client.send({method: 'POST', path: REGIONS, body, signal: forever}).catch((error: unknown) => {
        last = error;
        return undefined;
      }),
    () => `region ${name} was not made: ${String(last)}`,
  );
};

const children = (kind: Kind): Promise<readonly KubeObject[]> => playedControllers(server, discovery).children(kind);

/** The kinds that this server has: no Gateway API. */
const SERVED: readonly Kind[] = Object.values(KINDS).filter((kind) => kind !== KINDS.httpRoute);

const all = async (): Promise<readonly KubeObject[]> => (await Promise.all(SERVED.map(children))).flat();

const becomesReady = (name: string, log: ReturnType<typeof regionEngine>['log']): Promise<true> => {
  let last: unknown;
  return eventually(
    async () => {
      await playedControllers(server, discovery).play();
      const {body} = await server.client.send({method: 'GET', path: `${REGIONS}/${name}`, signal: forever});
      last = (body as KubeObject)['status'];
      return (last as {readonly phase?: string} | undefined)?.phase === 'Ready' ? true : undefined;
    },
    () => `status is ${JSON.stringify(last)}; log:\n${log.lines.slice(-20).join('\n')}`,
    40_000,
  );
};

/** What an operator asked of the server since `from`, apart from its lease. */
const requestsOf = async (userAgent: string, from: number, verbs: readonly string[]): Promise<readonly string[]> =>
  (await server.audit())
    .slice(from)
    .filter((line) => line.userAgent === userAgent && verbs.includes(line.verb) && !line.requestURI.includes('/leases'))
    .map(({verb, requestURI}) => `${verb} ${requestURI}`);

const WRITES = ['create', 'update', 'patch', 'delete'];

test('a region comes up, rests, is repaired in every kind of child, and survives a restart of the operator', async () => {
  const log = start('first');
  await declare('eu', {
    region: 'eu-west',
    ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'},
  });
  await becomesReady('eu', log);
  const made = await all();
  const kinds = new Set(made.map(({kind}) => kind));
  // Pods and claims are made by controllers, which do not run here.
  expect(SERVED.filter(({kind}) => !kinds.has(kind)).map(({kind}) => kind)).toEqual(['Pod', 'PersistentVolumeClaim']);
  const orphans = made.filter((object) => controllerOf(object) === undefined).map(({kind}) => kind);
  expect([...new Set(orphans)]).toEqual(['Secret']);

  await sleep(1_000);
  let from = (await server.audit()).length;
  await sleep(3_000);
  expect(await requestsOf('first', from, [...WRITES, 'list'])).toEqual([]);

  for (const kind of kinds) {
    const victim = made.find((object) => object.kind === kind);
    if (victim === undefined) throw new Error(`no ${kind}`);
    const path = await discovery.objectPath(keyOf(victim), forever);
    const body = {kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background'};
    await server.client.send({method: 'DELETE', path, body, signal: forever});
    await eventually(
      async () => {
        const found = (await children(victim)).find(({metadata}) => metadata.name === victim.metadata.name);
        return found !== undefined && found.metadata.uid !== victim.metadata.uid ? true : undefined;
      },
      () => `${kind} ${victim.metadata.name} did not come back; log:\n${log.lines.slice(-20).join('\n')}`,
    );
    await becomesReady('eu', log);
  }
  expect((await all()).map((object) => keyText(keyOf(object))).toSorted()).toEqual(
    made.map((object) => keyText(keyOf(object))).toSorted(),
  );

  await sleep(1_000);
  for (const {stop, ended} of running.splice(0)) {
    stop.abort();
    await ended;
  }
  from = (await server.audit()).length;
  const again = start('second');
  await eventually(
    () => (again.lines.some((line) => line.startsWith('pass ')) ? true : undefined),
    () => again.lines.join('\n'),
  );
  await sleep(1_000);
  expect(await requestsOf('second', from, WRITES)).toEqual([]);
}, 180_000);

/** The claim that the StatefulSet's controller makes, under deletionPolicy Delete with the set as its owner. */
const makeClaim = async (setName: string): Promise<string> => {
  const set = (await children(KINDS.statefulSet)).find(({metadata}) => metadata.name === setName);
  if (set === undefined) throw new Error(`no StatefulSet ${setName}`);
  const {apiVersion, kind, metadata} = set;
  // Of our own manifest, as the server answers it.
  const {volumeClaimTemplates} = set['spec'] as {
    readonly volumeClaimTemplates: readonly [{readonly metadata: {readonly labels: object}; readonly spec: object}];
  };
  const [template] = volumeClaimTemplates;
  const name = `data-${setName}-0`;
  const ownerReferences = [
    {apiVersion, kind, name: setName, uid: metadata.uid, controller: true, blockOwnerDeletion: true},
  ];
  const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
  const body = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {name, labels: template.metadata.labels, ownerReferences},
    spec: {...template.spec, volumeName: 'some-volume'},
  };
  await server.client.send({method: 'POST', path: claims, body, signal: forever});
  return `${claims}/${name}`;
};

const patch = async (path: string, body: object): Promise<unknown> => {
  const contentType = 'application/merge-patch+json';
  return (await server.client.send({method: 'PATCH', path, contentType, body, signal: forever})).body;
};

const makeClass = async (name: string, allowVolumeExpansion: boolean): Promise<void> => {
  const path = '/apis/storage.k8s.io/v1/storageclasses';
  const metadata = {name};
  const kind = {apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass'};
  const body = {...kind, metadata, provisioner: 'example.com/disk', allowVolumeExpansion};
  await server.client.send({method: 'POST', path, body, signal: forever});
};

/** Waits until an object is as expected. */
const shows = (
  path: string,
  expected: (text: string) => boolean,
  log: ReturnType<typeof regionEngine>['log'],
): Promise<string> => {
  let last = '';
  return eventually(
    async () => {
      await playedControllers(server, discovery).play();
      last = JSON.stringify((await server.client.send({method: 'GET', path, signal: forever})).body);
      return expected(last) ? last : undefined;
    },
    () => `${path} is ${last}; log:\n${log.lines.slice(-20).join('\n')}`,
    30_000,
  );
};

const sizeOf = (size: string) => ({spec: {postgres: {storage: {size}}}});
const asksFor = (size: string) => (text: string) => text.includes(`"requests":{"storage":"${size}"}`);
const isReady = (text: string): boolean => text.includes('"phase":"Ready"');
const bound = (storage: string) => ({status: {phase: 'Bound', capacity: {storage}}});

test('a volume grows once it is there, also one that is deleted with the region, and a wish may be taken back', async () => {
  await makeClass('growable', true);
  const log = start('third');
  const storage = {size: '1Gi', className: 'growable'};
  await declare('us', {region: 'us-east', deletionPolicy: 'Delete', postgres: {shards: 1, storage}});
  await becomesReady('us', log);
  const claim = await makeClaim('us-pg-0');
  const us = `${REGIONS}/us`;
  await patch(us, sizeOf('2Gi'));
  await becomesReady('us', log);

  await patch(`${claim}/status`, bound('1Gi'));
  await shows(claim, asksFor('2Gi'), log);
  await shows(us, (text) => isReady(text) && text.includes('grows from 1Gi to 2Gi'), log);

  // The driver has done nothing yet. Kubernetes lowers a claim's request to more than there is, and not to that.
  await patch(us, sizeOf('1500Mi'));
  await shows(claim, asksFor('1500Mi'), log);
  await patch(us, sizeOf('1Gi'));
  await shows(us, (text) => isReady(text) && text.includes('still asks for 1500Mi'), log);
  expect(await shows(claim, asksFor('1500Mi'), log)).toContain('"capacity":{"storage":"1Gi"}');
  await patch(`${claim}/status`, bound('1500Mi'));
  await shows(us, (text) => text.includes('"storage":"1500Mi"') && !text.includes('pendingChanges'), log);
  await patch(us, sizeOf('2Gi'));
  await shows(claim, asksFor('2Gi'), log);
  await patch(`${claim}/status`, bound('2Gi'));
  await shows(us, (text) => text.includes('"storage":"2Gi"') && !text.includes('pendingChanges'), log);
  await expect(patch(us, sizeOf('1500Mi'))).rejects.toThrow(/spec\.postgres\.storage\.size.*a volume cannot shrink/);

  // Its set keeps the size that it was made with, also when it is not seen.
  const set = '/apis/apps/v1/namespaces/default/statefulsets/us-pg-0';
  await patch(set, {metadata: {labels: null}});
  // What is shown is the object.
  await shows(set, (text) => (JSON.parse(text) as KubeObject).metadata.labels?.[INSTANCE] === 'us', log);
  await becomesReady('us', log);
}, 120_000);

test('a class that cannot grow volumes holds nothing up, and the wish may be taken back', async () => {
  await makeClass('fixed', false);
  const log = start('fixed');
  await declare('sa', {region: 'sa-east', postgres: {shards: 1, storage: {size: '10Gi', className: 'fixed'}}});
  await becomesReady('sa', log);
  await patch(`${await makeClaim('sa-pg-0')}/status`, bound('10Gi'));
  const sa = `${REGIONS}/sa`;
  await patch(sa, {spec: {...sizeOf('11Gi').spec, workers: {logLevel: 'debug'}}});
  const text = await shows(sa, (seen) => isReady(seen) && seen.includes('must support resize'), log);
  expect(text).toContain('or take spec.postgres.storage.size back to 10Gi');
  await patch(sa, sizeOf('10Gi'));
  await shows(sa, (seen) => isReady(seen) && !seen.includes('pendingChanges'), log);
}, 120_000);

test('a region that is deleted right after its data was told to stay waits until that is so', async () => {
  const log = start('retaining');
  await declare('keep', {region: 'keep', deletionPolicy: 'Delete', postgres: {shards: 1}});
  await becomesReady('keep', log);
  const claim = await makeClaim('keep-pg-0');
  const path = `${REGIONS}/keep`;
  const send = (method: 'GET' | 'DELETE', at: string) => server.client.send({method, path: at, signal: forever});
  await patch(path, {spec: {suspend: true, deletionPolicy: 'Retain'}});
  let last: unknown;
  const seen = () => `the region is ${JSON.stringify(last)}; log:\n${log.lines.slice(-20).join('\n')}`;
  await eventually(async () => {
    last = (await send('GET', path)).body;
    return JSON.stringify(last).includes('pisync.io/retain-data') ? true : undefined;
  }, seen);
  await send('DELETE', path);
  await eventually(async () => {
    last = (await send('GET', path)).body;
    return JSON.stringify(last).includes('PersistentVolumeClaim data-keep-pg-0-0 does not yet') ? true : undefined;
  }, seen);
  const owned = (await Promise.all([KINDS.secret, KINDS.statefulSet].map((kind) => children(kind))))
    .flat()
    .filter(({metadata}) => metadata.name.startsWith('keep-'));
  expect(owned.filter(({kind, metadata}) => kind === 'Secret' && metadata.ownerReferences !== undefined)).toEqual([]);
  expect(JSON.stringify(owned)).not.toContain('"whenDeleted":"Delete"');
  // As its StatefulSet's controller does.
  await patch(claim, {metadata: {ownerReferences: null}});
  await eventually(async () => {
    last = await send('GET', path).catch(String);
    return String(last).includes('404') ? true : undefined;
  }, seen);
}, 90_000);

test('a broker that lost its volume says so, and one that was made by hand is seen', async () => {
  const log = start('lost');
  await declare('me', {region: 'me-west', postgres: {shards: 1}});
  await becomesReady('me', log);
  const first = await makeClaim('me-rabbitmq');
  await patch(`${first}/status`, bound('5Gi'));
  const me = `${REGIONS}/me`;
  const secret = '/api/v1/namespaces/default/secrets/me-bootstrap';
  await shows(secret, (text) => text.includes('"pisync.io/broker-volumes":'), log);
  await shows(me, isReady, log);

  await patch(first, {metadata: {finalizers: null}});
  await server.client.send({method: 'DELETE', path: first, signal: forever});
  const body = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {name: 'data-me-rabbitmq-0'},
    spec: {accessModes: ['ReadWriteOnce'], resources: {requests: {storage: '7Gi'}}, volumeName: 'restored'},
  };
  const path = '/api/v1/namespaces/default/persistentvolumeclaims';
  await server.client.send({method: 'POST', path, body, signal: forever});
  await patch(`${first}/status`, bound('7Gi'));
  // A claim that is not watched wakes nobody; its pod does.
  await patch(me, {metadata: {labels: {looked: 'at'}}});
  await shows(first, (text) => text.includes('"app.kubernetes.io/instance":"me"'), log);
  await shows(me, (text) => text.includes('"storage":"7Gi"') && text.includes('VolumeReplaced'), log);
  await patch(secret, {metadata: {annotations: {'pisync.io/broker-volumes': null}}});
  await shows(me, isReady, log);
}, 120_000);

test.each([
  ['its route is switched off', 'no-route', {enabled: false}],
  ['both its hosts are removed', 'no-hosts', {host: null, adminHost: null}],
])(
  'the status of a region is written when %s',
  async (_what, name, ingress) => {
    const log = start(name);
    await declare(name, {
      region: name,
      postgres: {shards: 1},
      ingress: {host: `${name}.sync.example.com`, adminHost: `${name}.admin.example.com`},
    });
    await becomesReady(name, log);
    const path = `${REGIONS}/${name}`;
    await patch(path, {spec: {ingress}});
    let last: KubeObject | undefined;
    await eventually(
      async () => {
        // A GET of an object path answers that object.
        last = (await server.client.send({method: 'GET', path, signal: forever})).body as KubeObject;
        const status = last['status'] as {readonly observedGeneration?: number; readonly endpoints?: unknown};
        return status.observedGeneration === last.metadata.generation && status.endpoints === undefined
          ? true
          : undefined;
      },
      () => `the region is ${JSON.stringify(last)}; log:\n${log.lines.slice(-20).join('\n')}`,
    );
    await becomesReady(name, log);
  },
  90_000,
);

/** Waits until a condition of the region has the reason. */
const says = (name: string, reason: string, log: ReturnType<typeof regionEngine>['log']): Promise<string> =>
  shows(`${REGIONS}/${name}`, (text) => text.includes(`"reason":"${reason}"`), log);

const setHost = (name: string, host: string): Promise<unknown> =>
  patch(`${REGIONS}/${name}`, {spec: {ingress: {host}}});

test('a region without its certificate, or with the host of another, says so, and works when that is mended', async () => {
  const log = start('fourth');
  await declare('older', {region: 'older', postgres: {shards: 1}, ingress: {host: 'older.sync.example.com'}});
  await becomesReady('older', log);
  await declare('ap', {
    region: 'ap-south',
    postgres: {shards: 1},
    ingress: {host: 'ap.sync.example.com', tls: {mode: 'Secret', secretName: 'ap-cert'}},
  });
  await says('ap', 'CertificateMissing', log);
  const text = (pem: string): string => Buffer.from(pem).toString('base64');
  const data = {'tls.crt': text(CERTIFICATE), 'tls.key': text(KEY)};
  const secret = {apiVersion: 'v1', kind: 'Secret', metadata: {name: 'ap-cert'}, data};
  await server.client.send({
    method: 'POST',
    path: '/api/v1/namespaces/default/secrets',
    body: secret,
    signal: forever,
  });
  await becomesReady('ap', log);

  // Who is older does not matter: the host stays with the region that it leads to.
  for (const [name, taken] of [
    ['ap', 'older.sync.example.com'],
    ['older', 'ap.sync.example.com'],
  ] as const) {
    await setHost(name, taken);
    await says(name, 'HostTaken', log);
    const hosts = (await children(KINDS.ingress)).map((route) => JSON.stringify(route['spec']));
    expect(hosts.filter((spec) => spec.includes(`"${taken}"`))).toHaveLength(1);
    expect(hosts.filter((spec) => spec.includes(`"${name}.sync.example.com"`))).toHaveLength(1);
    await setHost(name, `${name}.sync.example.com`);
    await becomesReady(name, log);
  }
}, 120_000);

import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {type ApiClient} from './api-client.ts';
import {type Desired} from './controller.ts';
import {type KubeObject, type ObjectRef} from './object.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {forever, writingParts} from './testing/fixtures.ts';

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

const writes = async (): Promise<number> =>
  (await server.audit()).filter(
    ({verb, userAgent}) => userAgent === 'pisync-test' && ['create', 'update', 'patch', 'delete'].includes(verb),
  ).length;

const configMap = (name: string, data: Record<string, string>): Desired => ({
  manifest: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name, namespace: 'default'}, data},
});

const statefulSet = (name: string, serviceName = 'db'): Desired => ({
  manifest: {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {name, namespace: 'default'},
    spec: {
      serviceName,
      selector: {matchLabels: {app: name}},
      template: {
        metadata: {labels: {app: name}},
        spec: {
          containers: [
            {name: 'db', image: 'db:1', resources: {requests: {cpu: '1000m', memory: '1024Mi'}, limits: {cpu: '1'}}},
          ],
        },
      },
      volumeClaimTemplates: [
        {
          metadata: {name: 'data'},
          spec: {accessModes: ['ReadWriteOnce'], resources: {requests: {storage: '1Gi'}}},
        },
      ],
    },
  },
  replicas: 1,
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

describe('apply', () => {
  test('creates, then sends nothing while neither the wish nor the object changed', async () => {
    const {applier} = writingParts(client);
    expect(await applier.apply(configMap('quiet', {a: '1'}), owner, forever)).toEqual({
      kind: 'created',
      repaired: false,
    });
    const before = await writes();
    for (let pass = 0; pass < 3; pass++) {
      expect((await applier.apply(configMap('quiet', {a: '1'}), owner, forever)).kind).toBe('unchanged');
    }
    expect(await writes()).toBe(before);
    expect(await applier.apply(configMap('quiet', {a: '2'}), owner, forever)).toEqual({
      kind: 'configured',
      repaired: false,
    });
  });

  test('leaves a StatefulSet with volumeClaimTemplates alone, also right after a restart', async () => {
    await writingParts(client).applier.apply(statefulSet('db'), owner, forever);
    const path = '/apis/apps/v1/namespaces/default/statefulsets/db';
    const {resourceVersion} = (await get(path)).metadata;
    const before = await writes();
    const restarted = writingParts(client).applier;
    expect((await restarted.apply(statefulSet('db'), owner, forever)).kind).toBe('unchanged');
    expect((await restarted.apply(statefulSet('db'), owner, forever)).kind).toBe('unchanged');
    expect(await writes()).toBe(before);
    expect((await get(path)).metadata.resourceVersion).toBe(resourceVersion);
  });

  test('repairs drift and says so; labels and annotations of others stay', async () => {
    const {applier} = writingParts(client);
    const path = '/api/v1/namespaces/default/configmaps/drift';
    await applier.apply(configMap('drift', {a: '1'}), owner, forever);
    await merge(path, {metadata: {annotations: {foreign: 'yes'}, labels: {team: 'blue'}}});
    expect((await applier.apply(configMap('drift', {a: '1'}), owner, forever)).kind).toBe('unchanged');
    await merge(path, {data: {a: 'changed', extra: 'removed'}, metadata: {labels: {'example.org/shop': null}}});
    expect(await applier.apply(configMap('drift', {a: '1'}), owner, forever)).toEqual({
      kind: 'configured',
      repaired: true,
    });
    const live = await get(path);
    expect(live['data']).toEqual({a: '1'});
    expect(live.metadata.annotations).toMatchObject({foreign: 'yes'});
    expect(live.metadata.labels).toMatchObject({team: 'blue', 'example.org/shop': 'corner'});
    await client.send({method: 'DELETE', path, signal: forever});
    expect(await applier.apply(configMap('drift', {a: '1'}), owner, forever)).toEqual({
      kind: 'created',
      repaired: true,
    });
  });

  test('says nothing of a repair when the wish has another number of replicas', async () => {
    const {applier} = writingParts(client);
    await applier.apply(deployment('wider', 2), owner, forever);
    expect(await applier.apply(deployment('wider', 3), owner, forever)).toEqual({kind: 'configured', repaired: false});
    await merge('/apis/apps/v1/namespaces/default/deployments/wider', {spec: {replicas: 1}});
    expect(await applier.apply(deployment('wider', 3), owner, forever)).toEqual({kind: 'configured', repaired: true});
  });

  test.each([
    ['the same process', false],
    ['one that was started since', true],
  ])('what somebody adds to an object is removed by %s, once', async (_, isNew) => {
    const name = isNew ? 'added-new' : 'added-same';
    const service: Desired = {
      manifest: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: {name, namespace: 'default'},
        spec: {selector: {app: name}, ports: [{name: 'http', port: 80, targetPort: 'http'}]},
      },
    };
    const policy: Desired = {
      manifest: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: {name, namespace: 'default'},
        spec: {
          podSelector: {matchLabels: {app: name}},
          policyTypes: ['Ingress', 'Egress'],
          ingress: [{from: [{podSelector: {matchLabels: {app: 'web'}}}]}],
          egress: [{}],
        },
      },
    };
    const all = [service, policy, deployment(name, 2), configMap(name, {a: '1'})];
    const paths = [
      `/api/v1/namespaces/default/services/${name}`,
      `/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/${name}`,
      `/apis/apps/v1/namespaces/default/deployments/${name}`,
      `/api/v1/namespaces/default/configmaps/${name}`,
    ] as const;
    const first = writingParts(client).applier;
    for (const desired of all) await first.apply(desired, owner, forever);
    const contents = async () =>
      (await Promise.all(paths.map(get))).map(({spec, data}) => JSON.stringify({spec, data}));
    const before = await contents();
    await merge(paths[0], {spec: {selector: {broken: 'yes'}, externalIPs: ['192.0.2.1']}});
    await merge(paths[1], {
      spec: {
        ingress: [{from: [{podSelector: {matchLabels: {app: 'web'}}, namespaceSelector: {}}]}],
        egress: [{to: [{podSelector: {matchLabels: {x: 'y'}}}]}],
      },
    });
    await merge(paths[2], {spec: {paused: true, template: {spec: {dnsPolicy: 'Default', hostNetwork: true}}}});
    await client.send({
      method: 'PATCH',
      path: paths[2],
      contentType: 'application/json-patch+json',
      body: [{op: 'add', path: '/spec/template/spec/containers/-', value: {name: 'sidecar', image: 'sidecar:1'}}],
      signal: forever,
    });
    await merge(paths[3], {data: {b: '2'}});
    const later = isNew ? writingParts(client).applier : first;
    for (const desired of all) {
      expect(await later.apply(desired, owner, forever)).toEqual({kind: 'configured', repaired: true});
    }
    expect(await contents()).toEqual(before);
    const written = await writes();
    for (const desired of all) expect((await later.apply(desired, owner, forever)).kind).toBe('unchanged');
    expect(await writes()).toBe(written);
  });

  test('what others may write stays: a restart, a scale, labels and annotations, what a set makes of its claim', async () => {
    const {applier} = writingParts(client);
    const path = '/apis/apps/v1/namespaces/default/deployments/busy';
    await applier.apply(deployment('busy', 'released'), owner, forever);
    await merge(path, {
      metadata: {labels: {team: 'blue'}},
      spec: {template: {metadata: {annotations: {'kubectl.kubernetes.io/restartedAt': 'now'}}}},
    });
    await merge(`${path}/scale`, {spec: {replicas: 7}});
    const account = {apiVersion: 'v1', kind: 'ServiceAccount', metadata: {name: 'busy', namespace: 'default'}};
    await applier.apply({manifest: account}, owner, forever);
    await merge('/api/v1/namespaces/default/serviceaccounts/busy', {imagePullSecrets: [{name: 'pull'}]});
    const written = await writes();
    for (const again of [applier, writingParts(client).applier]) {
      expect((await again.apply(deployment('busy', 'released'), owner, forever)).kind).toBe('unchanged');
      expect((await again.apply({manifest: account}, owner, forever)).kind).toBe('unchanged');
    }
    expect(await writes()).toBe(written);
  });

  test('removes a field that the wish no longer has, also across a restart', async () => {
    await writingParts(client).applier.apply(configMap('shrink', {a: '1', b: '2'}), owner, forever);
    await writingParts(client).applier.apply(configMap('shrink', {a: '1'}), owner, forever);
    expect((await get('/api/v1/namespaces/default/configmaps/shrink'))['data']).toEqual({a: '1'});
  });

  test('leaves an object of somebody else alone and names it, unless it may be adopted', async () => {
    const path = '/api/v1/namespaces/default/configmaps/theirs';
    await client.send({
      method: 'POST',
      path: '/api/v1/namespaces/default/configmaps',
      body: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'theirs'}, data: {theirs: 'kept'}},
      signal: forever,
    });
    const {applier} = writingParts(client);
    await expect(applier.apply(configMap('theirs', {a: '1'}), owner, forever)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('ConfigMap default/theirs: exists and is managed by somebody else'),
    });
    expect((await get(path))['data']).toEqual({theirs: 'kept'});
    await merge(path, {metadata: {annotations: {'example.org/adopt': 'corner'}}});
    expect((await applier.apply(configMap('theirs', {a: '1'}), owner, forever)).kind).toBe('configured');
    const adopted = await get(path);
    expect(adopted.metadata.ownerReferences).toMatchObject([{uid: owner.uid, controller: true}]);
    expect(adopted['data']).toEqual({a: '1'});
    expect(adopted.metadata.annotations).toMatchObject({'example.org/adopt': 'corner'});
  });

  test('names the immutable field and asks again only if something changes, or after a while', async () => {
    const clock = new FakeClock();
    const {applier} = writingParts(client, [], clock);
    await applier.apply(statefulSet('fixed'), owner, forever);
    await expect(applier.apply(statefulSet('fixed', 'other'), owner, forever)).rejects.toMatchObject({
      kind: 'immutable',
      fields: ['spec.serviceName'],
    });
    const before = await writes();
    await expect(applier.apply(statefulSet('fixed', 'other'), owner, forever)).rejects.toMatchObject({
      kind: 'immutable',
    });
    expect(await writes()).toBe(before);
    const tried = async (afterMs: number): Promise<number> => {
      clock.freeze(afterMs);
      const from = await writes();
      await expect(applier.apply(statefulSet('fixed', 'other'), owner, forever)).rejects.toMatchObject({
        kind: 'immutable',
      });
      return (await writes()) - from;
    };
    expect([await tried(60_000), await tried(60_000), await tried(60_000), await tried(120_000)]).toEqual([1, 0, 1, 0]);
    expect((await applier.apply(statefulSet('fixed'), owner, forever)).kind).toBe('unchanged');
  });

  test('refuses unknown fields with their path', async () => {
    const {applier} = writingParts(client);
    const desired = configMap('strict', {});
    const manifest = {...desired.manifest, spec: {typo: true}};
    await expect(applier.apply({manifest}, owner, forever)).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('spec'),
    });
  });

  test('leaves replicas to an autoscaler when released, and takes them back', async () => {
    const {applier} = writingParts(client);
    const path = '/apis/apps/v1/namespaces/default/deployments/web';
    const replicas = async (): Promise<unknown> => ((await get(path))['spec'] as {replicas: number}).replicas;
    await applier.apply(deployment('web', 3), owner, forever);
    expect(await replicas()).toBe(3);
    expect((await applier.apply(deployment('web', 'released'), owner, forever)).kind).toBe('unchanged');
    expect(await replicas()).toBe(3);
    await merge(`${path}/scale`, {spec: {replicas: 7}});
    await applier.apply(deployment('web', 'released', 'web:2'), owner, forever);
    expect(await replicas()).toBe(7);
    expect((await applier.apply(deployment('web', 3, 'web:2'), owner, forever)).kind).toBe('configured');
    expect(await replicas()).toBe(3);
  });
});

describe('values that are made once', () => {
  const secret = (generated: Desired['generated']): Desired => ({
    manifest: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {name: 'login', namespace: 'default'},
      type: 'Opaque',
      data: {username: Buffer.from('shop').toString('base64')},
    },
    ownership: 'none',
    ...(generated === undefined ? {} : {generated}),
  });
  const path = '/api/v1/namespaces/default/secrets/login';

  test('a generated value never changes again; a missing one is added', async () => {
    const {applier} = writingParts(client);
    const one = {password: {bytes: 24, encoding: 'base64url'}} as const;
    expect((await applier.apply(secret(one), owner, forever)).kind).toBe('created');
    const first = (await get(path))['data'] as Record<string, string>;
    expect(Buffer.from(first['password'] ?? '', 'base64').toString()).toMatch(/^[\w-]{32}$/);
    const before = await writes();
    expect((await applier.apply(secret(one), owner, forever)).kind).toBe('unchanged');
    expect((await writingParts(client).applier.apply(secret(one), owner, forever)).kind).toBe('unchanged');
    expect(await writes()).toBe(before);
    const two = {...one, cookie: {bytes: 8, encoding: 'hex'}} as const;
    expect((await writingParts(client).applier.apply(secret(two), owner, forever)).kind).toBe('configured');
    const second = (await get(path))['data'] as Record<string, string>;
    expect(second).toMatchObject(first);
    expect(Buffer.from(second['cookie'] ?? '', 'base64').toString()).toMatch(/^[0-9a-f]{16}$/);
    expect((await get(path)).metadata.ownerReferences).toBeUndefined();
  });

  test('what shall outlive its owner from now on loses its ownerReference and keeps its values', async () => {
    const {applier} = writingParts(client);
    const generated = {password: {bytes: 24, encoding: 'base64url'}} as const;
    const kept: Desired = {
      ...secret(generated),
      manifest: {...secret(generated).manifest, metadata: {name: 'kept', namespace: 'default'}},
    };
    const at = '/api/v1/namespaces/default/secrets/kept';
    await applier.apply({...kept, ownership: 'controller'}, owner, forever);
    const owned = await get(at);
    expect(owned.metadata.ownerReferences).toHaveLength(1);
    await applier.apply({...kept, ownership: 'none'}, owner, forever);
    const free = await get(at);
    expect(free.metadata.ownerReferences).toBeUndefined();
    expect(free['data']).toEqual(owned['data']);
  });

  test('fields that are written once belong to whoever changes them', async () => {
    const {applier} = writingParts(client);
    const desired = {...configMap('facts', {'facts.json': '{}'}), onceFields: ['data']};
    await applier.apply(desired, owner, forever);
    await merge('/api/v1/namespaces/default/configmaps/facts', {data: {'facts.json': '{"a":1}'}});
    await applier.apply(desired, owner, forever);
    await writingParts(client).applier.apply(desired, owner, forever);
    expect((await get('/api/v1/namespaces/default/configmaps/facts'))['data']).toEqual({'facts.json': '{"a":1}'});
  });
});

describe('delete', () => {
  test('deletes only the life it was told of', async () => {
    const {applier, cluster} = writingParts(client);
    await applier.apply(configMap('surplus', {}), owner, forever);
    const key = {apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'surplus'};
    expect(await cluster.delete(key, {uid: 'another-life'}, forever)).toBe('gone');
    const {uid} = (await get('/api/v1/namespaces/default/configmaps/surplus')).metadata;
    expect(await cluster.delete(key, {uid}, forever)).toBe('deleted');
    expect(await cluster.delete(key, {uid}, forever)).toBe('gone');
  });
});

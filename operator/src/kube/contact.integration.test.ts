/** What an engine does while it does not see all, or nothing at all. */
import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {once} from 'node:events';
import {createServer as createHttpServer} from 'node:http';
import {request} from 'node:https';
import {createServer, type AddressInfo} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {type Clock, systemClock} from './clock.ts';
import {type CredentialSource} from './connection.ts';
import {Wait} from './errors.ts';
import {type KubeObject} from './object.ts';
import {startProxy} from './testing/cuttable-proxy.ts';
import {eventually} from './testing/fixtures.ts';
import {shopController, shopPath} from './testing/shop.ts';
import {shelfPath, Shops} from './testing/shops.ts';

let shops: Shops;

beforeAll(async () => {
  shops = await Shops.onAServer();
}, 90_000);

afterEach(() => shops.endEngines(), 30_000);

afterAll(() => shops.stop(), 30_000);

test('sees what happened while its connections were cut, without listing again', async () => {
  const proxy = await startProxy(shops.server.port);
  try {
    const {log} = shops.start('cut', shops.server.credentialsAt(proxy.port));
    await shops.open('west', ['a']);
    await shops.statusBecomes('west', {problems: [], shelves: 1}, log);
    const from = (await shops.server.audit()).length;
    proxy.refuse(true);
    proxy.cut();
    await shops.send('PATCH', shopPath('west'), {spec: {shelves: ['a', 'b']}});
    await shops.send('DELETE', shelfPath('west-a'));
    await sleep(500);
    proxy.refuse(false);
    await shops.statusBecomes('west', {problems: [], shelves: 2}, log);
    await eventually(
      async () => await shops.find(shelfPath('west-a')),
      () => log.lines.slice(-20).join('\n'),
    );
    // The question whether the server went back in time asks for one object.
    const lists = await shops.requestsOf('cut', from, ['list']);
    expect(lists.filter((request) => !/[?&]limit=1(&|$)/.test(request))).toEqual([]);
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 60_000);

/** In front of the API server; while `isLate`, watches of shops tell nothing. */
const startLateProxy = async () => {
  const behind = await shops.server.credentials();
  const state = {isLate: false};
  const proxy = createHttpServer((inbound, response) => {
    const {method, headers, url = ''} = inbound;
    const isWatch = /\/shops\?.*watch=true/.test(url);
    const outbound = request(`${behind.server}${url}`, {method, headers, rejectUnauthorized: false}, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
      answer.on('data', (chunk: Buffer) => (isWatch && state.isLate) || response.write(chunk));
      answer.on('end', () => response.end()).on('error', () => response.destroy());
    });
    outbound.on('error', () => response.destroy());
    response.on('close', () => outbound.destroy());
    inbound.pipe(outbound);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  // It listens on a port.
  const {port} = proxy.address() as AddressInfo;
  const credentials: CredentialSource = () => Promise.resolve({...behind, server: `http://127.0.0.1:${port}`, tls: {}});
  return {state, credentials, stop: () => (proxy.closeAllConnections(), proxy.close())};
};

test('that passes end in a wait again and again is told in an event where the status cannot be written', async () => {
  const proxy = await startLateProxy();
  try {
    const inner = shopController();
    const controller: typeof inner = {
      ...inner,
      observe: (...args) =>
        proxy.state.isLate ? Promise.reject(new Wait('the till is open', 20)) : inner.observe(...args),
      failedStatus: (_shop, problem) => ({shelves: -1, problems: [problem]}),
    };
    const {log} = shops.start('late', proxy.credentials, {controller});
    await shops.open('behind', ['a']);
    await shops.statusBecomes('behind', {problems: [], shelves: 1}, log);
    proxy.state.isLate = true;
    await shops.send('PATCH', shopPath('behind'), {metadata: {labels: {a: 'b'}}});
    await shops.send('DELETE', shelfPath('behind-a'));
    const told = await eventually(
      async () => {
        const {items} = (await shops.find('/apis/events.k8s.io/v1/namespaces/default/events')) as KubeObject;
        return (items as readonly KubeObject[]).find(({reason}) => reason === 'PassFailed');
      },
      () => log.lines.slice(-20).join('\n'),
    );
    expect(told).toMatchObject({note: 'again and again: the till is open', regarding: {name: 'behind'}});
  } finally {
    proxy.stop();
  }
}, 60_000);

test('an engine whose connections die without a word has others within 20 s, and keeps its lease', async () => {
  const proxy = await startProxy(shops.server.port);
  try {
    const {log} = shops.start('mute', shops.server.credentialsAt(proxy.port));
    await shops.open('silence', ['a']);
    await shops.statusBecomes('silence', {problems: [], shelves: 1}, log);
    proxy.swallow();
    await shops.send('PATCH', shopPath('silence'), {spec: {shelves: ['a', 'b']}});
    await shops.statusBecomes('silence', {problems: [], shelves: 2}, log);
    expect(log.lines.filter((line) => line.includes('no longer leading'))).toEqual([]);
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 60_000);

/** Three times as fast as time, so that a Lease and the rest of a watch pass in a third of it. */
const fastClock: Clock = {
  now: () => systemClock.now(),
  monotonicMs: () => 3 * systemClock.monotonicMs(),
  schedule: (delayMs, run) => systemClock.schedule(delayMs / 3, run),
};

test('a standby that was cut off begins its term with what the server has', async () => {
  const proxy = await startProxy(shops.server.port);
  const first = shops.start('ahead', shops.server.credentials, {clock: fastClock});
  await shops.open('stale', ['a']);
  await shops.statusBecomes('stale', {problems: [], shelves: 1}, first.log);
  const controller = shopController();
  const saw: number[] = [];
  const second = shops.start('behind', shops.server.credentialsAt(proxy.port), {
    clock: fastClock,
    controller: {
      ...controller,
      observe: (shop, cluster, signal) => {
        if (shop.ref.name === 'stale') saw.push(shop.shelves.length);
        return controller.observe(shop, cluster, signal);
      },
    },
  });
  try {
    await eventually(
      () => (second.engine.ready().ok ? true : undefined),
      () => second.log.lines.join('\n'),
    );
    proxy.refuse(true);
    proxy.cut();
    // Every watch rests by itself between its attempts, and this one rests for long.
    await eventually(
      () => (second.log.lines.some((line) => /"kind":"Shop".*"delayMs":\d{5}/.test(line)) ? true : undefined),
      () => second.log.lines.join('\n'),
      40_000,
    );
    expect(second.engine.ready().ok).toBe(false);
    await shops.send('PATCH', shopPath('stale'), {spec: {shelves: ['a', 'b', 'c']}});
    await shops.statusBecomes('stale', {problems: [], shelves: 3}, first.log);
    first.stop.abort();
    await first.ended;
    proxy.refuse(false);
    await eventually(
      () => (saw.length > 0 ? true : undefined),
      () => second.log.lines.slice(-20).join('\n'),
    );
    expect(saw[0]).toBe(3);
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 90_000);

test('a namespace that the server refuses stops nothing in the others, and is looked after once it may be', async () => {
  const bind = (namespace: string): Promise<void> =>
    shops.send('POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
      metadata: {name: 'limited'},
      roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin'},
      subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'limited'}],
    });
  for (const name of ['blue', 'green']) await shops.send('POST', '/api/v1/namespaces', {metadata: {name}});
  for (const namespace of ['default', 'blue']) await bind(namespace);
  const proxy = await startProxy(shops.server.port);
  const limited: CredentialSource = async () => {
    const credentials = await shops.server.credentialsAt(proxy.port)();
    return {...credentials, headers: {...credentials.headers, 'impersonate-user': 'limited'}};
  };
  await shops.open('north', ['a'], 'blue');
  await shops.open('south', ['a'], 'green');
  const {engine, log} = shops.start('limited', limited, {namespaces: ['blue', 'green'], clock: fastClock});
  try {
    await shops.statusBecomes('north', {problems: [], shelves: 1}, log, 'blue');
    const ready = engine.ready();
    expect(ready).toMatchObject({
      ok: true,
      remarks: expect.arrayContaining([expect.stringMatching(/^Shop in green: .*forbidden/)]),
    });
    expect((await shops.find(shopPath('south', 'green')))?.['status']).toBeUndefined();

    await bind('green');
    await shops.statusBecomes('south', {problems: [], shelves: 1}, log, 'green');
    expect(engine.ready()).toEqual({ok: true});

    // The right is taken away again, which watches notice when they begin anew.
    await shops.send('DELETE', '/apis/rbac.authorization.k8s.io/v1/namespaces/green/rolebindings/limited');
    proxy.cut();
    await eventually(
      () => (JSON.stringify(engine.ready()).includes('Shop in green') && engine.ready().ok ? true : undefined),
      () => `${JSON.stringify(engine.ready())}; log:\n${log.lines.slice(-20).join('\n')}`,
    );
    await shops.send('PATCH', shopPath('north', 'blue'), {spec: {shelves: ['a', 'b']}});
    await shops.statusBecomes('north', {problems: [], shelves: 2}, log, 'blue');
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 90_000);

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

test('of a resource that is left alone for long, because a kind of its namespace is not seen, it is said', async () => {
  await shops.send('POST', '/api/v1/namespaces', {metadata: {name: 'yellow'}});
  const bindings = (namespace: string): string =>
    `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`;
  const bind = (namespace: string, role: string): Promise<void> =>
    shops.send('POST', bindings(namespace), {
      metadata: {name: role},
      roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role},
      subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'partial'}],
    });
  const all = (apiGroup: string) => ({apiGroups: [apiGroup], resources: ['*'], verbs: ['*']});
  await shops.send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: {name: 'no-shelves'},
    rules: ['example.org', 'apps', 'events.k8s.io'].map(all),
  });
  await bind('default', 'cluster-admin');
  for (const role of ['cluster-admin', 'no-shelves']) await bind('yellow', role);
  const proxy = await startProxy(shops.server.port);
  const partial: CredentialSource = async () => {
    const credentials = await shops.server.credentialsAt(proxy.port)();
    return {...credentials, headers: {...credentials.headers, 'impersonate-user': 'partial'}};
  };
  await shops.open('blind', ['a'], 'yellow');
  // That it is looked after cannot be written onto this one.
  await shops.send('POST', `${ADMISSION}/validatingadmissionpolicies`, {
    metadata: {name: 'plain'},
    spec: {
      matchConstraints: {
        resourceRules: [
          {apiGroups: ['example.org'], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['shops']},
        ],
      },
      validations: [{expression: "object.metadata.name != 'plain' || !has(object.metadata.annotations)"}],
    },
  });
  await shops.send('POST', `${ADMISSION}/validatingadmissionpolicybindings`, {
    metadata: {name: 'plain'},
    spec: {policyName: 'plain', validationActions: ['Deny']},
  });
  await shops.open('plain', ['a'], 'yellow');
  await eventually(
    () =>
      shops
        .send('PATCH', shopPath('plain', 'yellow'), {metadata: {annotations: {any: 'thing'}}})
        .then(() => shops.send('PATCH', shopPath('plain', 'yellow'), {metadata: {annotations: null}}))
        .then(() => undefined)
        .catch(() => true),
    () => 'the policy does not count',
  );
  const {log, told} = shops.start('partial', partial, {
    namespaces: ['yellow'],
    clock: fastClock,
    controller: {...shopController(), failedStatus: (_shop, problem) => ({problems: [problem], shelves: -1})},
  });
  try {
    for (const shop of ['blind', 'plain']) await shops.statusBecomes(shop, {problems: [], shelves: 1}, log, 'yellow');
    await shops.send('DELETE', `${bindings('yellow')}/cluster-admin`);
    proxy.cut();
    const notSeen = expect.stringMatching(/ConfigMap in yellow is not seen: .*forbidden/);
    for (const shop of ['blind', 'plain']) {
      await shops.send('PATCH', shopPath(shop, 'yellow'), {spec: {shelves: ['a', 'b']}});
      const status = await eventually(
        async () => {
          const is = (await shops.find(shopPath(shop, 'yellow')))?.['status'] as {shelves: number} | undefined;
          return is?.shelves === -1 ? is : undefined;
        },
        () => `${shop}: ${log.lines.slice(-20).join('\n')}`,
      );
      expect(status).toEqual({shelves: -1, problems: [notSeen]});
      expect(told.get(shop)).toEqual(status);
    }
    const {items} = (await shops.find('/apis/events.k8s.io/v1/namespaces/yellow/events')) as unknown as {
      readonly items: readonly KubeObject[];
    };
    expect(items).toContainEqual(expect.objectContaining({reason: 'NotSeen', note: notSeen}));

    await bind('yellow', 'cluster-admin');
    await shops.statusBecomes('blind', {problems: [], shelves: 2}, log, 'yellow');
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 90_000);

test('nothing is told any more of a resource that is deleted while it is held', async () => {
  // Alone in its namespace, so that whatever the engine does is about it.
  await shops.send('POST', '/api/v1/namespaces', {metadata: {name: 'grey'}});
  await shops.open('ghost', ['a'], 'grey');
  const {log: alive} = shops.start('alive', shops.server.credentials, {namespaces: ['grey']});
  await shops.statusBecomes('ghost', {problems: [], shelves: 1}, alive, 'grey');
  await shops.endEngines();
  const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  // It never answers, so an event takes as long as the engine waits for it.
  const hole = createServer();
  hole.listen(0, '127.0.0.1');
  await once(hole, 'listening');
  await shops.send('POST', webhooks, {
    metadata: {name: 'hole'},
    webhooks: [
      {
        name: 'hole.example.org',
        clientConfig: {url: `https://127.0.0.1:${(hole.address() as AddressInfo).port}/`},
        rules: [{apiGroups: ['events.k8s.io'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['events']}],
        failurePolicy: 'Ignore',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  });
  const controller = shopController();
  const {log, told} = shops.start('haunted', shops.server.credentials, {
    namespaces: ['grey'],
    clock: fastClock,
    controller: {
      ...controller,
      // Nobody serves it.
      watches: [...controller.watches, {apiVersion: 'gadgets.example.org/v1', kind: 'Gadget'}],
      failedStatus: (_shop, problem) => ({problems: [problem], shelves: -1}),
    },
  });
  try {
    const [asked] = (await once(hole, 'connection', {signal: AbortSignal.timeout(30_000)})) as [{destroy: () => void}];
    await shops.send('DELETE', shopPath('ghost', 'grey'));
    await shops.send('PATCH', shopPath('ghost', 'grey'), {metadata: {finalizers: null}});
    await eventually(
      () => (log.lines.some((line) => line.startsWith('not worked on')) ? true : undefined),
      () => log.lines.slice(-20).join('\n'),
    );
    expect(told.get('ghost')).toBeUndefined();
    asked.destroy();
  } finally {
    await shops.endEngines();
    await shops.send('DELETE', `${webhooks}/hole`);
    hole.close();
  }
}, 60_000);

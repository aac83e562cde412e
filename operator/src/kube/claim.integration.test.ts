import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {setTimeout as sleep} from 'node:timers/promises';
import {type Clock, systemClock} from './clock.ts';
import {createEngine} from './engine.ts';
import {type KubeObject} from './object.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {eventually, forever, identity, randomText, testLog, testMetrics} from './testing/fixtures.ts';
import {installShops, shopController, shopPath} from './testing/shop.ts';

let server: TestApiServer;
const running: {readonly stop: AbortController; readonly ended: Promise<void>}[] = [];

beforeAll(async () => {
  server = await startApiServer();
  await installShops(server.client);
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

/** Three times as fast as time, so that a Lease passes in a third of it. */
const fastClock: Clock = {
  now: () => systemClock.now(),
  monotonicMs: () => 3 * systemClock.monotonicMs(),
  schedule: (delayMs, run) => systemClock.schedule(delayMs / 3, run),
};

interface Started {
  readonly log: ReturnType<typeof testLog>;
  readonly end: () => Promise<void>;
}

/** An operator with a Lease of its own. */
const start = (name: string, selector?: string): Started => {
  const log = testLog();
  const engine = createEngine({
    name: 'shop',
    controller: shopController(),
    identity,
    credentials: server.credentials,
    userAgent: name,
    namespaces: [],
    selector,
    workers: 2,
    lease: {namespace: 'default', name, identity: name},
    clock: fastClock,
    random: Math.random,
    randomText,
    metrics: testMetrics(),
    log,
  });
  const stop = new AbortController();
  const ended = engine.run(stop.signal);
  running.push({stop, ended});
  return {
    log,
    end: async () => {
      stop.abort();
      await ended;
    },
  };
};

const find = async (path: string): Promise<KubeObject> =>
  (await server.client.send({method: 'GET', path, signal: forever})).body as KubeObject;

const openShop = (name: string, labels: Readonly<Record<string, string>> = {}): Promise<unknown> =>
  server.client.send({
    method: 'POST',
    path: shopPath(),
    body: {apiVersion: 'example.org/v1', kind: 'Shop', metadata: {name, labels}, spec: {shelves: ['a']}},
    signal: forever,
  });

const patchShop = (name: string, body: object): Promise<unknown> =>
  server.client.send({
    method: 'PATCH',
    path: shopPath(name),
    contentType: 'application/merge-patch+json',
    body,
    signal: forever,
  });

/** Waits until the shop has so many shelves in its status and is held by that operator. */
const settles = (name: string, shelves: number, holder: string, logs: readonly Started[]): Promise<true> => {
  let last: KubeObject | undefined;
  return eventually(
    async () => {
      last = await find(shopPath(name));
      const status = last['status'] as {readonly shelves?: number} | undefined;
      const isHeld = last.metadata.annotations?.[identity.holderAnnotation] === `default/${holder}`;
      return status?.shelves === shelves && isHeld ? true : undefined;
    },
    () => `${JSON.stringify(last)}; logs:\n${logs.map(({log}) => log.lines.slice(-15).join('\n')).join('\n---\n')}`,
    40_000,
  );
};

const says = (operator: Started, text: string): Promise<true> =>
  eventually(
    () => (operator.log.lines.some((line) => line.includes(text)) ? true : undefined),
    () => operator.log.lines.join('\n'),
  );

const writesOf = async (userAgent: string, from: number): Promise<readonly string[]> =>
  (await server.audit())
    .slice(from)
    .filter((line) => line.userAgent === userAgent && ['create', 'update', 'patch', 'delete'].includes(line.verb))
    .filter(({requestURI}) => !requestURI.includes('/leases'))
    .map(({verb, requestURI}) => `${verb} ${requestURI.split('?')[0] ?? ''}`);

test('a second operator leaves alone what the first one holds, says so once, and takes over when that is stopped', async () => {
  const blue = start('blue');
  await openShop('north');
  await settles('north', 1, 'blue', [blue]);
  const green = start('green');
  await says(green, 'is looked after by another operator, default/blue');

  await patchShop('north', {spec: {shelves: ['a', 'b']}});
  await settles('north', 2, 'blue', [blue, green]);
  expect(await writesOf('green', 0)).toEqual(['create /apis/events.k8s.io/v1/namespaces/default/events']);
  const events = (await find('/apis/events.k8s.io/v1/namespaces/default/events'))['items'] as readonly KubeObject[];
  expect(events.filter((event) => event['reason'] === 'HeldByAnotherOperator')).toMatchObject([
    {type: 'Warning', regarding: {name: 'north'}, note: expect.stringContaining('default/blue')},
  ]);

  await blue.end();
  await patchShop('north', {spec: {shelves: []}});
  await settles('north', 0, 'green', [green]);
}, 90_000);

test('an object whose holder was removed is claimed by one write, and then there is rest', async () => {
  const blue = start('blue');
  await openShop('south');
  await settles('south', 1, 'blue', [blue]);
  await sleep(500);
  const from = (await server.audit()).length;
  await patchShop('south', {metadata: {annotations: {[identity.holderAnnotation]: null}}});
  await settles('south', 1, 'blue', [blue]);
  await sleep(2_000);
  expect(await writesOf('blue', from)).toEqual([`patch ${shopPath('south')}`]);
}, 60_000);

test('operators with selectors see only their own, and an object changes hands with its label', async () => {
  const [blue, green] = [start('blue', 'line=blue'), start('green', 'line in (green)')];
  await openShop('east', {line: 'blue'});
  await openShop('west', {line: 'green'});
  await settles('east', 1, 'blue', [blue, green]);
  await settles('west', 1, 'green', [blue, green]);
  expect([...blue.log.lines, ...green.log.lines].filter((line) => line.includes('another operator'))).toEqual([]);

  await patchShop('east', {metadata: {labels: {line: 'green'}}});
  await says(green, 'is looked after by another operator, default/blue');
  await patchShop('east', {metadata: {annotations: {[identity.holderAnnotation]: null}}, spec: {shelves: []}});
  await settles('east', 0, 'green', [blue, green]);
}, 60_000);

test('an object that cannot be claimed says so in an event', async () => {
  const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  await server.client.send({
    method: 'POST',
    path: webhooks,
    body: {
      metadata: {name: 'away'},
      webhooks: [
        {
          name: 'away.example.org',
          // Nobody listens there.
          clientConfig: {url: 'https://127.0.0.1:1/'},
          rules: [{apiGroups: ['example.org'], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['shops']}],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    },
    signal: forever,
  });
  await openShop('barred');
  await eventually(
    () =>
      patchShop('barred', {spec: {shelves: []}})
        .then(() => undefined)
        .catch(() => true),
    () => 'the webhook is not asked',
  );
  const blue = start('blue');
  const note = await eventually(
    async () => {
      const {items} = await find('/apis/events.k8s.io/v1/namespaces/default/events');
      return (items as readonly KubeObject[]).find(({reason}) => reason === 'NotClaimed')?.['note'];
    },
    () => blue.log.lines.slice(-20).join('\n'),
  );
  expect(note).toMatch(/which operator looks after it: .*failed calling webhook/);
  await server.client.send({method: 'DELETE', path: `${webhooks}/away`, signal: forever});
  await settles('barred', 1, 'blue', [blue]);
}, 60_000);

test('an object whose claim the server refuses is worked on, which is told once', async () => {
  const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
  const bindings = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings';
  const send = (method: 'POST' | 'DELETE', path: string, body?: object) =>
    server.client.send({method, path, ...(body === undefined ? {} : {body}), signal: forever});
  await send('POST', policies, {
    metadata: {name: 'plain-shops'},
    spec: {
      matchConstraints: {
        resourceRules: [
          {apiGroups: ['example.org'], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['shops']},
        ],
      },
      validations: [{expression: '!has(object.metadata.annotations)', message: 'shops are plain here'}],
    },
  });
  await send('POST', bindings, {
    metadata: {name: 'plain-shops'},
    spec: {policyName: 'plain-shops', validationActions: ['Deny']},
  });
  await openShop('plain');
  await eventually(
    () =>
      patchShop('plain', {metadata: {annotations: {any: 'thing'}}})
        .then(() => patchShop('plain', {metadata: {annotations: null}}))
        .then(() => undefined)
        .catch(() => true),
    () => 'the policy does not count',
  );
  const blue = start('blue');
  const shelf = '/api/v1/namespaces/default/configmaps/plain-a';
  const stands = (uid = '') =>
    eventually(
      () =>
        find(shelf)
          .then(({metadata}) => (metadata.uid === uid ? undefined : metadata.uid))
          .catch(() => undefined),
      () => blue.log.lines.slice(-20).join('\n'),
    );
  const first = await stands();
  await send('DELETE', shelf);
  await stands(first);

  const told = await eventually(
    async () => {
      const {items} = await find('/apis/events.k8s.io/v1/namespaces/default/events');
      const all = (items as readonly KubeObject[]).filter(
        ({reason, regarding}) => reason === 'NotClaimed' && (regarding as {readonly name: string}).name === 'plain',
      );
      return all.length === 0 ? undefined : all;
    },
    () => blue.log.lines.slice(-20).join('\n'),
  );
  expect(told).toMatchObject([{type: 'Warning', note: expect.stringMatching(/worked on all the same.*plain here/)}]);
  expect(told[0]).not.toHaveProperty('series');
  await says(blue, 'plain here');
  await send('DELETE', `${bindings}/plain-shops`);
  await send('DELETE', `${policies}/plain-shops`);
  await settles('plain', 1, 'blue', [blue]);
  expect(blue.log.lines.filter((line) => line.includes('plain here'))).toHaveLength(1);
}, 60_000);

import {afterAll, afterEach, beforeAll, describe, expect, test} from '@jest/globals';
import {setTimeout as sleep} from 'node:timers/promises';
import {type CredentialSource} from './connection.ts';
import {createEngine, type Engine} from './engine.ts';
import {type KubeObject} from './object.ts';
import {systemClock} from './clock.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {startProxy} from './testing/cuttable-proxy.ts';
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

const start = (
  name: string,
  credentials: CredentialSource = server.credentials,
): {
  engine: Engine;
  log: ReturnType<typeof testLog>;
  stop: AbortController;
  ended: Promise<void>;
  /** The last status that was told of each shop. */
  told: ReadonlyMap<string, unknown>;
} => {
  const log = testLog();
  const told = new Map<string, unknown>();
  const engine = createEngine({
    name: 'shop',
    controller: shopController(),
    identity,
    credentials,
    userAgent: name,
    namespaces: [],
    workers: 2,
    lease: {namespace: 'default', name: 'shop-operator', identity: name},
    clock: systemClock,
    random: Math.random,
    randomText,
    metrics: testMetrics(),
    log,
    onStatus: ({metadata}, status) => told.set(metadata.name, status),
  });
  const stop = new AbortController();
  const ended = engine.run(stop.signal);
  running.push({stop, ended});
  return {engine, log, stop, ended, told};
};

const send = async (method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<void> => {
  await server.client.send({
    method,
    path,
    ...(body === undefined ? {} : {body}),
    ...(method === 'PATCH' ? {contentType: 'application/merge-patch+json'} : {}),
    signal: forever,
  });
};

const find = async (path: string): Promise<KubeObject | undefined> => {
  try {
    return (await server.client.send({method: 'GET', path, signal: forever})).body as KubeObject;
  } catch {
    return undefined;
  }
};

const openShop = (name: string, shelves: readonly string[]): Promise<void> =>
  send('POST', shopPath(), {apiVersion: 'example.org/v1', kind: 'Shop', metadata: {name}, spec: {shelves}});

const shelfPath = (name: string): string => `/api/v1/namespaces/default/configmaps/${name}`;

const statusBecomes = (name: string, expected: object, log: ReturnType<typeof testLog>): Promise<true> => {
  let last: unknown;
  return eventually(
    async () => {
      last = (await find(shopPath(name)))?.['status'];
      return JSON.stringify(last) === JSON.stringify(expected) ? true : undefined;
    },
    () => `status of ${name} is ${JSON.stringify(last)}; log:\n${log.lines.slice(-20).join('\n')}`,
  );
};

/** What an engine sent to the server since `from`, apart from its lease. */
const requestsOf = async (userAgent: string, from: number, verbs: readonly string[]): Promise<readonly string[]> =>
  (await server.audit())
    .slice(from)
    .filter((line) => line.userAgent === userAgent && verbs.includes(line.verb) && !line.requestURI.includes('/leases'))
    .map(({verb, requestURI}) => `${verb} ${requestURI}`);

const WRITES = ['create', 'update', 'patch', 'delete'];

describe('an engine', () => {
  test('makes what a resource wants, repairs it, prunes it, and cleans up after it', async () => {
    const {log, engine} = start('whole');
    await openShop('north', ['a', 'b']);
    await statusBecomes('north', {problems: [], shelves: 2}, log);
    expect(engine.ready()).toEqual({ok: true});
    expect(engine.live()).toEqual({ok: true});
    expect((await find('/apis/apps/v1/namespaces/default/deployments/north-till'))?.['spec']).toMatchObject({
      replicas: 2,
    });

    await send('DELETE', shelfPath('north-a'));
    await send('PATCH', shelfPath('north-b'), {data: {on: 'fire'}});
    await eventually(
      async () => {
        const [a, b] = [await find(shelfPath('north-a')), await find(shelfPath('north-b'))];
        return a !== undefined && JSON.stringify(b?.['data']) === '{"on":"north-b"}' ? true : undefined;
      },
      () => log.lines.slice(-20).join('\n'),
    );
    await send('PATCH', shopPath('north'), {spec: {shelves: ['b']}});
    await statusBecomes('north', {problems: [], shelves: 1}, log);
    expect(await find(shelfPath('north-a'))).toBeUndefined();

    await send('DELETE', shopPath('north'));
    await eventually(
      async () => ((await find(shopPath('north'))) === undefined ? true : undefined),
      () => log.lines.slice(-20).join('\n'),
    );
    expect(await find(shelfPath('north-b'))).toBeUndefined();
  }, 60_000);

  test('at rest sends no write and no list; a restart writes nothing either', async () => {
    const first = start('resting');
    await openShop('calm', ['a', 'b', 'c']);
    await statusBecomes('calm', {problems: [], shelves: 3}, first.log);
    await sleep(500);
    const from = (await server.audit()).length;
    await sleep(3_000);
    expect(await requestsOf('resting', from, [...WRITES, 'list'])).toEqual([]);
    first.stop.abort();
    await first.ended;
    const second = start('restarted');
    await eventually(
      () => (second.log.lines.filter((line) => line.startsWith('pass ')).length > 0 ? true : undefined),
      () => second.log.lines.join('\n'),
    );
    await sleep(500);
    expect(await requestsOf('restarted', from, WRITES)).toEqual([]);
  }, 60_000);

  test('says in the status of the same pass what is in the way, and goes on with the rest', async () => {
    const {log} = start('conflicted');
    await send('POST', '/api/v1/namespaces/default/configmaps', {metadata: {name: 'south-a'}, data: {theirs: 'yes'}});
    await openShop('south', ['a', 'b']);
    const path = shopPath('south');
    const status = await eventually(
      async () => (await find(path))?.['status'] as {problems: string[]} | undefined,
      () => log.lines.join('\n'),
    );
    expect(status.problems).toEqual([expect.stringContaining('ConfigMap default/south-a: exists')]);
    expect((await find(shelfPath('south-b')))?.['data']).toEqual({on: 'south-b'});
    expect((await find(shelfPath('south-a')))?.['data']).toEqual({theirs: 'yes'});
  }, 60_000);

  test('tells statuses for metrics, and takes them back when it leads no more', async () => {
    const {told, log, stop, ended} = start('exporter');
    await openShop('told', ['a']);
    await statusBecomes('told', {problems: [], shelves: 1}, log);
    await eventually(
      () => (told.get('told') === undefined ? undefined : true),
      () => log.lines.join('\n'),
    );
    expect(told.get('told')).toEqual({problems: [], shelves: 1});
    stop.abort();
    await ended;
    expect([...told.values()].filter((status) => status !== undefined)).toEqual([]);
  }, 60_000);

  test('counts a repeated event in a series', async () => {
    const {log} = start('telling');
    await openShop('east', ['a']);
    await statusBecomes('east', {problems: [], shelves: 1}, log);
    for (let time = 0; time < 2; time++) {
      await send('PATCH', shelfPath('east-a'), {data: {on: 'fire'}});
      await eventually(
        async () =>
          JSON.stringify((await find(shelfPath('east-a')))?.['data']) === '{"on":"east-a"}' ? true : undefined,
        () => log.lines.join('\n'),
      );
      // The pass that follows a repair reports nothing: only then is the next repair a new event.
      await sleep(300);
    }
    const events = await eventually(
      async () => {
        const list = (await find('/apis/events.k8s.io/v1/namespaces/default/events')) as unknown as {
          items: KubeObject[];
        };
        const ours = list.items.filter((event) => (event['regarding'] as {name: string}).name === 'east');
        return ours.some((event) => event['series'] !== undefined) ? ours : undefined;
      },
      () => log.lines.join('\n'),
    );
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({reason: 'Repaired', note: 'ConfigMap east-a', series: {count: 2}});
  }, 60_000);

  test('sees what happened while its connections were cut, without listing again', async () => {
    const proxy = await startProxy(server.port);
    try {
      const {log} = start('cut', server.credentialsAt(proxy.port));
      await openShop('west', ['a']);
      await statusBecomes('west', {problems: [], shelves: 1}, log);
      const from = (await server.audit()).length;
      proxy.refuse(true);
      proxy.cut();
      await send('PATCH', shopPath('west'), {spec: {shelves: ['a', 'b']}});
      await send('DELETE', shelfPath('west-a'));
      await sleep(500);
      proxy.refuse(false);
      await statusBecomes('west', {problems: [], shelves: 2}, log);
      await eventually(
        async () => await find(shelfPath('west-a')),
        () => log.lines.slice(-20).join('\n'),
      );
      // The question whether the server went back in time asks for one object.
      const lists = await requestsOf('cut', from, ['list']);
      expect(lists.filter((request) => !/[?&]limit=1(&|$)/.test(request))).toEqual([]);
    } finally {
      for (const {stop, ended} of running.splice(0)) {
        stop.abort();
        await ended;
      }
      await proxy.stop();
    }
  }, 60_000);
});

describe('two engines', () => {
  test('only one works; the other takes over at once when the first one stops', async () => {
    const first = start('alpha');
    await eventually(
      () => (first.engine.isLeader() ? true : undefined),
      () => first.log.lines.join('\n'),
    );
    const second = start('beta');
    await eventually(
      () => (second.engine.ready().ok ? true : undefined),
      () => second.log.lines.join('\n'),
    );
    const from = (await server.audit()).length;
    await openShop('shared', ['a']);
    await statusBecomes('shared', {problems: [], shelves: 1}, first.log);
    expect(await requestsOf('beta', from, WRITES)).toEqual([]);
    first.stop.abort();
    await first.ended;
    await send('PATCH', shopPath('shared'), {spec: {shelves: []}});
    await statusBecomes('shared', {problems: [], shelves: 0}, second.log);
  }, 60_000);
});

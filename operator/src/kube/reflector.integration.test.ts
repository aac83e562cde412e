import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {type ApiRequest} from './api-client.ts';
import {systemClock, type Clock} from './clock.ts';
import {ApiError} from './errors.ts';
import {type KubeObject} from './object.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {installKind, installShops, SHOP, shopPath} from './testing/shop.ts';
import {eventually, forever, identity} from './testing/fixtures.ts';
import {reflect, type Streams} from './testing/reflecting.ts';

type OmitFirst<T extends readonly unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;

const COLLECTION = '/api/v1/namespaces/default/configmaps';

let server: TestApiServer;
let end = (): Promise<void> => Promise.resolve();

beforeAll(async () => {
  server = await startApiServer();
}, 90_000);

afterEach(() => end());

afterAll(async () => {
  await server.stop();
}, 30_000);

const follow = (...options: OmitFirst<Parameters<typeof reflect>>) => {
  const followed = reflect(server.client, ...options);
  end = followed.end;
  return followed;
};

const make = (name: string, labels: Record<string, string> = {}): Promise<unknown> =>
  server.client.send({
    method: 'POST',
    path: COLLECTION,
    body: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name, labels}, data: {key: 'value'}},
    signal: forever,
  });

test('follows what a selector selects; losing the label is a deletion', async () => {
  await make('before', {pick: 'me'});
  await make('other');
  const {sees, changes, store} = follow({labelSelector: 'pick=me'});
  await sees('added before');
  await make('after', {pick: 'me'});
  await sees('added after');
  await server.client.send({
    method: 'PATCH',
    path: `${COLLECTION}/after`,
    contentType: 'application/merge-patch+json',
    body: {metadata: {labels: {pick: null}}},
    signal: forever,
  });
  await sees('deleted after');
  expect(changes).not.toContain('added other');
  expect(store.get('default', 'before')).toMatchObject({apiVersion: 'v1', kind: 'ConfigMap', data: {key: 'value'}});
  expect(store.get('default', 'before')?.metadata).not.toHaveProperty('managedFields');
});

test('goes on after an object that cannot be read, of which it keeps whose it is', async () => {
  const part = (object: KubeObject): KubeObject => {
    if (object.metadata.name === 'even') return object;
    throw new RangeError('too deep');
  };
  await make('odd-listed', {odd: 'yes'});
  const {sees, store, log} = follow({labelSelector: 'odd=yes', keep: {isWhole: () => false, part}});
  await sees('added odd-listed');
  await make('odd-watched', {odd: 'yes', [identity.resourceLabel]: 'corner'});
  await make('even', {odd: 'yes'});
  await sees('added even');
  const {metadata} = store.get('default', 'odd-watched') ?? {};
  expect(metadata).toMatchObject({labels: {[identity.resourceLabel]: 'corner'}, partial: true});
  expect(log.lines.join('\n')).toContain('"namespace":"default","object":"odd-listed","error":"too deep"');
});

test('reads a long list in pages', async () => {
  await Promise.all(Array.from({length: 620}, (_, index) => make(`many-${index}`, {many: 'yes'})));
  const {reflector, store, log} = follow({labelSelector: 'many=yes'});
  await eventually(
    () => (reflector.obstacle === undefined ? true : undefined),
    () => log.lines.join('\n'),
  );
  expect(store.size).toBe(620);
  expect(store.get('default', 'many-7')).toMatchObject({kind: 'ConfigMap', metadata: {name: 'many-7'}});
}, 60_000);

test('lists again when the server has forgotten the version, and tells of what was deleted meanwhile', async () => {
  await installShops(server.client);
  const open = (name: string): Promise<unknown> =>
    server.client.send({method: 'POST', path: shopPath(), body: {...SHOP, metadata: {name}}, signal: forever});
  await open('doomed');
  let isFirst = true;
  const client: Streams = {
    send: (call: ApiRequest) => server.client.send(call),
    stream: async (call) => {
      if (!isFirst) return server.client.stream(call);
      isFirst = false;
      await server.client.send({method: 'DELETE', path: shopPath('doomed'), signal: forever});
      // The history of a kind begins with its CRD; version 1 is older, so the server answers 410 by itself.
      return server.client.stream({...call, query: {...call.query, resourceVersion: '1'}});
    },
  };
  const {sees, metrics, log} = follow(SHOP, client);
  await sees('added doomed');
  await sees('deleted doomed');
  const {values} = await metrics.watchRestarts.get();
  expect({values, log: log.lines}).toMatchObject({values: [{labels: {kind: 'Shop', reason: 'expired'}}]});
  await open('reborn');
  await sees('added reborn');
});

/** A server that answered its first list before its data was restored from a backup. Ends every watch when told. */
const restored = () => {
  let isFirst = true;
  let cut = new AbortController();
  const client: Streams = {
    send: async (call: ApiRequest) => {
      const answer = await server.client.send(call);
      if (!isFirst) return answer;
      isFirst = false;
      const {metadata, ...list} = answer.body as {readonly metadata: {readonly resourceVersion: string}};
      return {...answer, body: {...list, metadata: {resourceVersion: `${metadata.resourceVersion}000`}}};
    },
    stream: (call) => server.client.stream({...call, signal: AbortSignal.any([call.signal, cut.signal])}),
  };
  return {
    client,
    cut: () => {
      cut.abort();
      cut = new AbortController();
    },
  };
};

test('lists anew when the server went back in time while nobody was connected', async () => {
  await make('kept', {back: 'yes'});
  const {client, cut} = restored();
  const {sees, metrics, changes} = follow({labelSelector: 'back=yes'}, client);
  await sees('added kept');
  await server.client.send({method: 'DELETE', path: `${COLLECTION}/kept`, signal: forever});
  // The server takes the watch from a version that it does not have, and is silent.
  await make('later', {back: 'yes'});
  expect(changes).toEqual(['added kept']);
  cut();
  await sees('deleted kept');
  await sees('added later');
  const {values} = await metrics.watchRestarts.get();
  expect(values.map(({labels}) => labels['reason'])).toContain('rolled-back');
});

test('lists anew about once an hour, whatever its watch says', async () => {
  let skewMs = 0;
  const clock: Clock = {...systemClock, monotonicMs: () => systemClock.monotonicMs() + skewMs};
  let watches = 0;
  const deaf: Streams = {
    send: (call: ApiRequest) => server.client.send(call),
    stream: (call) => {
      watches++;
      return server.client.stream({...call, query: {...call.query, labelSelector: 'hour=no', timeoutSeconds: '2'}});
    },
  };
  await make('hourly', {hour: 'yes'});
  const {sees, metrics, log} = follow({labelSelector: 'hour=yes'}, deaf, undefined, clock);
  const lists = async () => (await metrics.lists.get()).values[0]?.value;
  await sees('added hourly');
  await server.client.send({method: 'DELETE', path: `${COLLECTION}/hourly`, signal: forever});
  await eventually(
    () => (watches === 2 ? true : undefined),
    () => log.lines.join('\n'),
  );
  expect(await lists()).toBe(1);
  skewMs = 80 * 60_000;
  await sees('deleted hourly');
  expect(await lists()).toBe(2);
});

test('goes on after a listener throws', async () => {
  const {sees} = follow({labelSelector: 'rough=yes'}, server.client, ({object}) => {
    if (object.metadata.name === 'rough-1') throw new Error('listener failed');
  });
  await make('rough-1', {rough: 'yes'});
  await make('rough-2', {rough: 'yes'});
  await sees('added rough-1');
  await sees('added rough-2');
});

test('an optional kind that may not be listed keeps nobody waiting, and is there once it may', async () => {
  let isAllowed = false;
  const client: Streams = {
    send: (call: ApiRequest) =>
      isAllowed ? server.client.send(call) : Promise.reject(new ApiError('forbidden', {status: 403})),
    stream: (call) => server.client.stream(call),
  };
  await make('guarded', {guarded: 'yes'});
  const {reflector, sees, log} = follow({optional: true, labelSelector: 'guarded=yes'}, client);
  await eventually(
    () => (reflector.obstacle === undefined ? true : undefined),
    () => log.lines.join('\n'),
  );
  isAllowed = true;
  await sees('added guarded');
});

test('a kind that is not installed counts as synced and empty', async () => {
  const {reflector, store, log} = follow({apiVersion: 'nobody.example.org/v1', kind: 'Ghost', optional: true});
  await eventually(
    () => (reflector.obstacle === undefined ? true : undefined),
    () => log.lines.join('\n'),
  );
  expect(store.size).toBe(0);
});

/** A hundred times as fast: looking for a kind that is missing takes 20 s. */
const hurried: Clock = {
  now: () => systemClock.now(),
  monotonicMs: () => systemClock.monotonicMs() * 100,
  schedule: (delayMs, run) => systemClock.schedule(delayMs / 100, run),
};

test('a kind that is installed and removed later is noticed and told', async () => {
  const spec = {apiVersion: 'late.example.org/v1', kind: 'Shop', optional: true};
  const {reflector, store, sees, log, servedChanges} = follow(spec, server.client, undefined, hurried);
  const told = (times: number): Promise<true> =>
    eventually(
      () => (servedChanges() === times ? true : undefined),
      () => `told ${servedChanges()} times; log:\n${log.lines.join('\n')}`,
    );
  await eventually(
    () => (reflector.obstacle === undefined ? true : undefined),
    () => log.lines.join('\n'),
  );
  expect(servedChanges()).toBe(0);
  await installKind(server.client, 'late.example.org');
  await told(1);
  const path = '/apis/late.example.org/v1/namespaces/default/shops';
  await server.client.send({method: 'POST', path, body: {...spec, metadata: {name: 'new'}}, signal: forever});
  await sees('added new');
  await server.client.send({
    method: 'DELETE',
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/shops.late.example.org',
    signal: forever,
  });
  await sees('deleted new');
  await told(2);
  expect(store.size).toBe(0);
}, 60_000);

/** A server that takes the right to see away, or answers otherwise that it tells nothing, and ends watches then. */
const refusing = (status = 403) => {
  let isAllowed = true;
  let cut = new AbortController();
  const refusal = () => Promise.reject(new ApiError('forbidden', {status}));
  const client: Streams = {
    send: (call: ApiRequest) => (isAllowed ? server.client.send(call) : refusal()),
    stream: (call) =>
      isAllowed ? server.client.stream({...call, signal: AbortSignal.any([call.signal, cut.signal])}) : refusal(),
  };
  const allow = (value: boolean): void => {
    isAllowed = value;
    if (isAllowed) return;
    cut.abort();
    cut = new AbortController();
  };
  return {client, allow};
};

test('says why it does not follow the server any more, and lists anew when that was for long', async () => {
  const {client, allow} = refusing();
  await make('gap', {gap: 'yes'});
  const {reflector, sees, metrics, log} = follow({labelSelector: 'gap=yes'}, client, undefined, hurried);
  const becomes = (message: string | undefined): Promise<true> =>
    eventually(
      () => (reflector.obstacle?.message === message ? true : undefined),
      () => log.lines.join('\n'),
    );
  expect(reflector.obstacle).toMatchObject({isRefused: false, message: 'is not listed yet'});
  await sees('added gap');
  await becomes(undefined);
  const lostAtMs = hurried.monotonicMs();
  allow(false);
  await becomes('forbidden');
  expect(reflector.obstacle?.isRefused).toBe(true);
  await eventually(
    () => (hurried.monotonicMs() - lostAtMs > 12_000 ? true : undefined),
    () => 'time stands still',
  );
  const knownMs = reflector.followedMs();
  await server.client.send({method: 'DELETE', path: `${COLLECTION}/gap`, signal: forever});
  expect(reflector.followedMs()).toBe(knownMs);
  const backAtMs = hurried.monotonicMs();
  allow(true);
  await sees('deleted gap');
  await becomes(undefined);
  expect(reflector.followedMs()).toBeLessThanOrEqual(hurried.monotonicMs() - backAtMs);
  expect((await metrics.lists.get()).values[0]?.value).toBe(2);
});

test('can be gone by again when what was missed has been read, and not before', async () => {
  const {client, allow} = refusing();
  await make('missed', {short: 'yes'});
  const {reflector, cleared, sees, metrics, log} = follow({labelSelector: 'short=yes'}, client);
  const becomes = (isFollowed: boolean): Promise<true> =>
    eventually(
      () => ((reflector.obstacle === undefined) === isFollowed ? true : undefined),
      () => log.lines.join('\n'),
    );
  await sees('added missed');
  await becomes(true);
  allow(false);
  await becomes(false);
  await server.client.send({method: 'DELETE', path: `${COLLECTION}/missed`, signal: forever});
  allow(true);
  await becomes(true);
  expect(cleared).toEqual([['missed'], []]);
  expect((await metrics.lists.get()).values[0]?.value).toBe(1);
});

test('a watch that is not answered for long is an obstacle, and what it is late for is listed', async () => {
  const answer = Promise.withResolvers<undefined>();
  let watches = 0;
  const client: Streams = {
    send: (call: ApiRequest) => server.client.send(call),
    stream: async (call) => {
      watches++;
      if (watches === 2) await answer.promise;
      return server.client.stream(watches === 1 ? {...call, query: {...call.query, timeoutSeconds: '1'}} : call);
    },
  };
  await make('late', {late: 'yes'});
  const {reflector, sees, metrics, log} = follow({labelSelector: 'late=yes'}, client, undefined, hurried);
  await sees('added late');
  await eventually(
    () => (reflector.obstacle?.message === 'its watch is not answered yet' ? true : undefined),
    () => `${watches} watches; log:\n${log.lines.join('\n')}`,
  );
  const knownMs = reflector.followedMs();
  await server.client.send({method: 'DELETE', path: `${COLLECTION}/late`, signal: forever});
  expect(reflector.followedMs()).toBe(knownMs);
  answer.resolve(undefined);
  await sees('deleted late');
  await eventually(
    () => (reflector.obstacle === undefined ? true : undefined),
    () => log.lines.join('\n'),
  );
  expect((await metrics.lists.get()).values[0]?.value).toBe(2);
});

test.each([
  ['that may not be seen any more counts as not installed', 403, 'forbidden', undefined],
  ['of which a server in trouble does not tell counts as not seen', 503, undefined, 'forbidden'],
])('an optional kind %s', async (_what, status, excuse, obstacle) => {
  const {client, allow} = refusing(status);
  await make(`taken-${status}`, {taken: String(status)});
  const {reflector, store, sees, log} = follow(
    {optional: true, labelSelector: `taken=${status}`},
    client,
    undefined,
    hurried,
  );
  await sees(`added taken-${status}`);
  const fromMs = hurried.monotonicMs();
  allow(false);
  await eventually(
    () => (hurried.monotonicMs() - fromMs > 120_000 ? true : undefined),
    () => 'time stands still',
  );
  expect([reflector.excuse, reflector.obstacle?.message, store.size]).toEqual([
    excuse,
    obstacle,
    excuse === undefined ? 1 : 0,
  ]);
  allow(true);
  await eventually(
    () => (reflector.obstacle === undefined && reflector.excuse === undefined && store.size === 1 ? true : undefined),
    () => log.lines.join('\n'),
  );
});

test('rests no longer when it is told that the server can be reached', async () => {
  /** Rests, of 400 ms and more, never end by themselves. */
  const still: Clock = {
    ...systemClock,
    schedule: (delayMs, run) =>
      delayMs >= 400 && delayMs < 60_000 ? () => undefined : systemClock.schedule(delayMs, run),
  };
  const {client, allow} = refusing();
  const {reflector, log} = follow({labelSelector: 'rest=yes'}, client, undefined, still);
  const isClear = (): true | undefined => (reflector.obstacle === undefined ? true : undefined);
  await eventually(isClear, () => log.lines.join('\n'));
  allow(false);
  await eventually(
    () => reflector.obstacle,
    () => log.lines.join('\n'),
  );
  allow(true);
  reflector.hurry();
  await eventually(isClear, () => log.lines.join('\n'));
});

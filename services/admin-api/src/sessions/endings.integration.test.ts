/** How long a token, a session or a role goes on once it has ended: in the process that ended it and in another one, with Redis and without, and without shard 0. */
import {readFile, writeFile} from 'node:fs/promises';
import {afterAll, beforeAll, beforeEach, expect, test} from '@jest/globals';
import {type Cache, openCache} from '@pisync/core/cache/cache';
import {tokenHash} from '@pisync/core/devices/tokens';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {z} from 'zod';
import {markdownTable} from '../testing/markdown-table.ts';
import {seedApiToken} from '../testing/seed.ts';
import {silentLog} from '../testing/silent-log.ts';
import {type CallOptions, startTestApi, type TestApi} from '../testing/test-api.ts';
import {redisUrl} from '../testing/test-redis.ts';
import {REMEMBERED} from './sessions.ts';

const {freshMs: FRESH_MS, staleMs: STALE_MS} = REMEMBERED;

const PODS = ['the pod that did it', 'another pod'] as const;
type Pod = (typeof PODS)[number];
const STATES = ['Redis is there', 'Redis is gone', 'shard 0 goes away at that moment'] as const;
type State = (typeof STATES)[number];

/** What is answered so many milliseconds after it. */
type Step = readonly [afterMs: number, status: number];

interface Ending {
  readonly what: string;
  /** @returns what is called as, and what ends it */
  readonly begin: (at: TestApi) => Promise<{readonly as: CallOptions; readonly end: () => Promise<void>}>;
  /** Needs nothing but to know who calls. */
  readonly call: (at: TestApi, as: CallOptions) => Promise<number>;
  /** What is answered in the end. */
  readonly ended: number;
  readonly steps: (state: State, pod: Pod) => readonly Step[];
}

let region: TestShards;
let toShard0: MuteProxy;
let toRedis: MuteProxy;
/** As the pods have them. */
let shards: Shards;
let cache: Cache;
let pods: Readonly<Record<Pod, TestApi>>;
let admin: string;
let nowMs = 0;

const proxyTo = (host: string, port: number): Promise<MuteProxy> => openMuteProxy(new URL(`tcp://${host}:${port}`));

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  const {host, port} = region.target(0);
  toShard0 = await proxyTo(host, port);
  const redis = redisUrl();
  toRedis = await proxyTo(redis.hostname, Number(redis.port === '' ? '6379' : redis.port));
  const topology = {
    ...region.topology,
    shards: region.topology.shards.map((shard) =>
      shard.id === 0 ? {...shard, rw: {host: '127.0.0.1', port: toShard0.port}} : shard,
    ),
  };
  shards = await openShards({
    topology: {current: () => topology, onChange: () => () => undefined},
    secretsDir: region.secretsDir,
    applicationName: 'test-endings',
    log: silentLog,
    metrics: new Registry(),
    sizes: {ingest: 4, dashboard: 2, job: 1},
  });
  cache = await openCache({
    endpoint: {host: '127.0.0.1', port: toRedis.port},
    password: () => Promise.resolve(redis.password === '' ? undefined : redis.password),
    log: silentLog,
    registry: new Registry(),
    now: () => performance.now(),
  });
  const start = (): Promise<TestApi> => startTestApi({shards, cache, freshMs: FRESH_MS, monotonic: () => nowMs});
  pods = {[PODS[0]]: await start(), [PODS[1]]: await start()};
  admin = await seedApiToken(region.shards, 'admin');
}, 60_000);

afterAll(async () => {
  for (const pod of PODS) await pods[pod].close();
  await cache.close();
  await shards.close();
  for (const proxy of [toShard0, toRedis]) proxy.close();
  await region.close();
}, 30_000);

beforeEach(async () => {
  // What was known of before is not any more, and nobody waits for what did not answer then.
  nowMs += 10 * STALE_MS;
  for (const proxy of [toShard0, toRedis]) proxy.state.refuse = false;
  await until('Redis', async () => (await cache.use((redis) => redis.ping())) === 'PONG');
});

const take = (proxy: MuteProxy): void => {
  proxy.state.refuse = true;
  proxy.cut();
};

const whoAmI = async (at: TestApi, as: CallOptions): Promise<number> =>
  (await at.call('GET', '/api/v1/session', as)).status;

const makeToken = async (at: TestApi): Promise<{readonly token: string; readonly revoke: () => Promise<void>}> => {
  const {body} = await at.call('POST', '/api/v1/api-tokens', {token: admin, body: {name: 'to end', role: 'admin'}});
  const {token, data} = z.object({token: z.string(), data: z.object({id: z.string()})}).parse(body);
  const revoke = async (): Promise<void> => {
    expect((await at.call('DELETE', `/api/v1/api-tokens/${data.id}`, {token: admin})).status).toBe(204);
  };
  return {token, revoke};
};

const signIn = async (at: TestApi, token: string): Promise<CallOptions> => {
  const {body, headers} = await at.call('POST', '/api/v1/session', {body: {token}});
  const {csrfToken} = z.object({csrfToken: z.string()}).parse(body);
  return {headers: {cookie: headers.get('set-cookie')?.split(';')[0] ?? '', 'x-csrf-token': csrfToken}};
};

/** What was read from shard 0 is gone by: for seconds while it answers, for minutes while it does not. */
const remembered = (works: number, ended: number, state: State): readonly Step[] =>
  state === 'shard 0 goes away at that moment'
    ? [
        [0, works],
        [STALE_MS - 1, works],
        [STALE_MS, 503],
      ]
    : [
        [FRESH_MS - 1, works],
        [FRESH_MS, ended],
      ];

/** Says whether the role suffices, and nothing else: who may change a device hears that `If-Match` is missing. */
const mayOperate = async (at: TestApi, as: CallOptions): Promise<number> =>
  (await at.call('PATCH', '/api/v1/devices/0b0e0000-0000-4000-8000-000000000000', {...as, body: {name: 'x'}})).status;

const ENDINGS: readonly Ending[] = [
  {
    what: 'A token is revoked',
    ended: 401,
    begin: async (at) => {
      const {token, revoke} = await makeToken(at);
      return {as: {token}, end: revoke};
    },
    call: whoAmI,
    steps: (state) => remembered(200, 401, state),
  },
  {
    what: 'The token of a session is revoked',
    ended: 401,
    begin: async (at) => {
      const {token, revoke} = await makeToken(at);
      return {as: await signIn(at, token), end: revoke};
    },
    call: whoAmI,
    steps: (state) => remembered(200, 401, state),
  },
  {
    what: 'A session is signed out',
    ended: 401,
    begin: async (at) => {
      const as = await signIn(at, admin);
      return {
        as,
        async end() {
          expect((await at.call('DELETE', '/api/v1/session', as)).status).toBe(204);
        },
      };
    },
    call: whoAmI,
    steps(state, pod) {
      if (pod === 'another pod') return remembered(200, 401, state);
      // By itself it knows for as long as it knows of anybody, and then has to ask.
      return state === 'shard 0 goes away at that moment'
        ? [
            [0, 401],
            [FRESH_MS - 1, 401],
            [FRESH_MS, 503],
          ]
        : [
            [0, 401],
            [FRESH_MS, 401],
          ];
    },
  },
  {
    what: 'The role of a token is changed, in its row',
    ended: 403,
    begin: async () => {
      const token = await seedApiToken(region.shards, 'operator');
      const end = async (): Promise<void> => {
        await region.shards
          .control('job')
          .query(`update control.api_token set role = 'viewer' where token_hash = $1`, [tokenHash(token)]);
      };
      return {as: {token}, end};
    },
    call: mayOperate,
    steps: (state) => remembered(428, 403, state),
  },
];

const CELLS = ENDINGS.flatMap((ending) => STATES.flatMap((state) => PODS.map((pod) => ({ending, state, pod}))));

test.each(CELLS.map((cell) => [`${cell.ending.what}, ${cell.state}, ${cell.pod}`, cell] as const))(
  '%s',
  async (_what, {ending, state, pod}) => {
    const [doer, seenBy] = [pods[PODS[0]], pods[pod]];
    if (state === 'Redis is gone') {
      take(toRedis);
      await until('Redis to be gone', async () => (await cache.use((redis) => redis.ping())) === undefined);
    }
    const {as, end} = await ending.begin(doer);
    const steps = ending.steps(state, pod);
    // Each has just heard of it.
    for (const at of PODS) expect([200, 428]).toContain(await ending.call(pods[at], as));
    const beganMs = nowMs;
    await end();
    if (state === 'shard 0 goes away at that moment') take(toShard0);
    const seen: Step[] = [];
    for (const [afterMs] of steps) {
      nowMs = beganMs + afterMs;
      seen.push([afterMs, await ending.call(seenBy, as)]);
    }
    expect(seen).toEqual(steps);
    if (state !== 'shard 0 goes away at that moment') return;
    toShard0.state.refuse = false;
    await until('shard 0 to be there again', async () => (await ending.call(seenBy, as)) !== 503);
    expect(await ending.call(seenBy, as)).toBe(ending.ended);
  },
);

test('while shard 0 is away nothing ends', async () => {
  const {token, revoke} = await makeToken(pods[PODS[0]]);
  const session = await signIn(pods[PODS[0]], token);
  take(toShard0);
  for (const at of PODS) {
    for (const [method, path, as] of [
      ['DELETE', '/api/v1/api-tokens/0b0e0000-0000-4000-8000-000000000000', {token: admin}],
      ['DELETE', '/api/v1/session', session],
      ['POST', '/api/v1/session', {body: {token}}],
    ] as const) {
      const {status, headers} = await pods[at].call(method, path, as);
      expect([at, method, path, status, headers.has('retry-after')]).toEqual([at, method, path, 503, true]);
    }
  }
  toShard0.state.refuse = false;
  await until('shard 0 to be there again', async () => (await whoAmI(pods[PODS[0]], session)) === 200);
  await revoke();
});

const inTime = (ms: number): string => (ms < 60_000 ? `${ms / 1000} s` : `${ms / 60_000} min`);

const inWords = (steps: readonly Step[]): string => {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) return '';
  const [, before] = first;
  const [atMs, after] = last;
  if (before === after) return `${after} at once`;
  if (after === 503) return `${before} for ${before === 401 ? '' : 'up to '}${inTime(atMs)}, then 503`;
  return `${after} within ${inTime(atMs)}`;
};

test('docs say what is tested here', async () => {
  const columns = STATES.flatMap((state) => PODS.map((pod) => ({state, pod})));
  const rows = ENDINGS.map(({what, steps}) => [what, ...columns.map(({state, pod}) => inWords(steps(state, pod)))]);
  const page = [
    '# When it is over',
    '',
    'How long somebody goes on who may not any more, and what he is answered then, as a test tries it for each cell (`services/admin-api/src/sessions/endings.integration.test.ts` writes this page).',
    '',
    ...markdownTable([['', ...columns.map(({state, pod}) => `${state}: ${pod}`)], ...rows]),
    '',
    '- 200 and 428 are what he was answered before: 428 is what a change is answered without `If-Match` by whoever may make it.',
    '- Once shard 0 is back, the next call is answered as in the first columns.',
    '- While it is away nobody can revoke a token, sign in or sign out: that is a 503.',
    '- Redis has no part in it. Each pod asks shard 0 again for whom it has not asked about for five seconds, and without an answer goes by the last one for five minutes.',
    '- A token that expires, and a session with it, ends at that moment everywhere.',
    '- No operation changes the role of a token; people make another one and revoke the first.',
    '',
  ].join('\n');
  const file = new URL('../../../../docs/api/admin-endings.md', import.meta.url);
  if (process.env['PISYNC_UPDATE_GOLDEN'] === '1') await writeFile(file, page);
  expect(await readFile(file, 'utf8')).toBe(page);
});

import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {openShards} from '@pisync/core/shards/shards';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {Registry} from 'prom-client';
import {z} from 'zod';
import type {CacheAccess} from '../caching/read-through.ts';
import {silentLog} from '../testing/silent-log.ts';
import {seedApiToken, seedDevices} from '../testing/seed.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';
import {hashToken} from './api-tokens.ts';

const NO_CACHE: CacheAccess = {use: () => Promise.resolve(undefined)};

let region: TestShards;
let api: TestApi;
let device: string;
const asked: string[] = [];

beforeAll(async () => {
  region = await createTestShards({shards: 1});
  const [seeded] = await seedDevices(region.shards, 1);
  device = seeded?.id ?? '';
  api = await startTestApi({
    shards: region.shards,
    cache: NO_CACHE,
    publish: (request) => {
      asked.push(request.deviceId);
      return Promise.resolve();
    },
  });
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
}, 30_000);

const signIn = async (
  token: string,
  at: TestApi = api,
): Promise<{readonly cookie: string; readonly csrfToken: string; readonly attributes: string}> => {
  const answer = await at.call('POST', '/api/v1/session', {body: {token}});
  expect(answer.status).toBe(200);
  const setCookie = answer.headers.get('set-cookie') ?? '';
  const {csrfToken} = z.object({csrfToken: z.string()}).parse(answer.body);
  return {cookie: setCookie.split(';')[0] ?? '', csrfToken, attributes: setCookie};
};

const status = async (
  method: string,
  path: string,
  options: Parameters<TestApi['call']>[2],
  at: TestApi = api,
): Promise<number> => (await at.call(method, path, options)).status;

describe('roles', () => {
  test.each([
    ['viewer', 403],
    ['auditor', 403],
    ['operator', 202],
    ['admin', 202],
  ] as const)('%s may read, and gets %i when asking a device to sync', async (role, expected) => {
    const token = await seedApiToken(region.shards, role);
    expect(await status('GET', '/api/v1/devices', {token})).toBe(200);
    expect(await status('POST', `/api/v1/devices/${device}/sync`, {token, body: {syncType: 'full'}})).toBe(expected);
  });

  test('no token, an unknown token and a revoked token are 401', async () => {
    const token = await seedApiToken(region.shards, 'admin');
    await region.shards
      .control('job')
      .query(`update control.api_token set revoked_at = now() where token_hash = decode($1, 'hex')`, [
        hashToken(token),
      ]);
    for (const headers of [
      {},
      {authorization: 'Bearer nobody'},
      {authorization: 'Basic eDp5'},
      {authorization: `Bearer ${token}`},
    ]) {
      const answer = await api.call('GET', '/api/v1/devices', {headers});
      expect({headers, status: answer.status}).toEqual({headers, status: 401});
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
    expect(await status('POST', '/api/v1/session', {body: {token}})).toBe(401);
  });
});

test('signing in counts as a call of its token', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  const strict = await startTestApi({shards: region.shards, cache: NO_CACHE, callsPerMinute: 3});
  try {
    const signedIn = async () => {
      const {status: is, headers} = await strict.call('POST', '/api/v1/session', {body: {token}});
      return [is, headers.get('ratelimit-remaining'), headers.has('retry-after')];
    };
    expect(await signedIn()).toEqual([200, '2', false]);
    expect(await signedIn()).toEqual([200, '1', false]);
    expect(await status('GET', '/api/v1/devices', {token}, strict)).toBe(200);
    expect(await signedIn()).toEqual([429, '0', true]);
    const {rowCount} = await region.shards
      .control('job')
      .query(`select from control.session where token_hash = decode($1, 'hex')`, [hashToken(token)]);
    expect(rowCount).toBe(2);
    expect(await status('POST', '/api/v1/session', {body: {token: 'nobody'}}, strict)).toBe(401);
  } finally {
    await strict.close();
  }
});

describe('a browser session', () => {
  test('is a cookie that scripts cannot read and other sites do not send', async () => {
    const {attributes} = await signIn(await seedApiToken(region.shards, 'viewer'));
    expect(attributes).toMatch(/; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/);
    const token = await seedApiToken(region.shards, 'viewer');
    const overTls = await api.call('POST', '/api/v1/session', {body: {token}, headers: {'x-forwarded-proto': 'https'}});
    expect(overTls.headers.get('set-cookie')).toMatch(/; Secure$/);
  });

  test('reads with the cookie alone, and changes something only with its CSRF token', async () => {
    const {cookie, csrfToken} = await signIn(await seedApiToken(region.shards, 'operator'));
    const other = await signIn(await seedApiToken(region.shards, 'operator'));
    expect(await status('GET', '/api/v1/session', {headers: {cookie}})).toBe(200);
    const path = `/api/v1/devices/${device}/sync`;
    const before = asked.length;
    expect(await status('POST', path, {headers: {cookie}, body: {}})).toBe(403);
    expect(await status('POST', path, {headers: {cookie, 'x-csrf-token': other.csrfToken}, body: {}})).toBe(403);
    expect(asked.length).toBe(before);
    expect(await status('POST', path, {headers: {cookie, 'x-csrf-token': csrfToken}, body: {}})).toBe(202);
    expect(asked.length).toBe(before + 1);
    expect(await status('DELETE', '/api/v1/session', {headers: {cookie, 'x-csrf-token': csrfToken}})).toBe(204);
  });

  test('says whose it is by the id of the token, where names are alike', async () => {
    const whose = async (token: string) => {
      const {cookie} = await signIn(token);
      const {body} = await api.call('GET', '/api/v1/session', {headers: {cookie}});
      return z.object({id: z.uuid(), name: z.string()}).parse(body);
    };
    const token = await seedApiToken(region.shards, 'viewer');
    const [one, again, other] = [
      await whose(token),
      await whose(token),
      await whose(await seedApiToken(region.shards, 'viewer')),
    ];
    expect(again).toEqual(one);
    expect(other.name).toBe(one.name);
    expect(other.id).not.toBe(one.id);
  });

  test('cannot be guessed, and ends when its token is revoked', async () => {
    const token = await seedApiToken(region.shards, 'viewer');
    const {cookie} = await signIn(token);
    const other = cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    expect(await status('GET', '/api/v1/devices', {headers: {cookie: other}})).toBe(401);
    expect(await status('GET', '/api/v1/devices', {headers: {cookie: `a=b; ${cookie}`}})).toBe(200);
    await region.shards
      .control('job')
      .query(`update control.api_token set revoked_at = now() where token_hash = decode($1, 'hex')`, [
        hashToken(token),
      ]);
    expect(await status('GET', '/api/v1/devices', {headers: {cookie}})).toBe(401);
  });

  test('ends with its sign-out, for other processes within five seconds, and no other session with it', async () => {
    let nowMs = 0;
    const neighbour = await startTestApi({
      shards: region.shards,
      cache: NO_CACHE,
      freshMs: 5_000,
      monotonic: () => nowMs,
    });
    try {
      const token = await seedApiToken(region.shards, 'viewer');
      const {cookie, csrfToken} = await signIn(token);
      const {cookie: elsewhere} = await signIn(token);
      for (const at of [api, neighbour]) {
        expect(await status('GET', '/api/v1/session', {headers: {cookie}}, at)).toBe(200);
      }
      expect(await status('DELETE', '/api/v1/session', {headers: {cookie, 'x-csrf-token': csrfToken}})).toBe(204);
      expect(await status('GET', '/api/v1/session', {headers: {cookie}})).toBe(401);
      nowMs = 5_001;
      expect(await status('GET', '/api/v1/session', {headers: {cookie}}, neighbour)).toBe(401);
      expect(await status('GET', '/api/v1/session', {headers: {cookie: elsewhere}}, neighbour)).toBe(200);
    } finally {
      await neighbour.close();
    }
  });

  test('that is over is no session, and goes when somebody signs in', async () => {
    const token = await seedApiToken(region.shards, 'viewer');
    const {cookie} = await signIn(token);
    const sessions = (): Promise<number> =>
      region.shards
        .control('job')
        .query(`select from control.session where token_hash = decode($1, 'hex')`, [hashToken(token)])
        .then(({rowCount}) => rowCount ?? 0);
    expect(await sessions()).toBe(1);
    await region.shards
      .control('job')
      .query(`update control.session set expires_at = now() where token_hash = decode($1, 'hex')`, [hashToken(token)]);
    expect(await status('GET', '/api/v1/session', {headers: {cookie}})).toBe(401);
    await signIn(await seedApiToken(region.shards, 'viewer'));
    expect(await sessions()).toBe(0);
  });

  test('of a token that signs in again and again makes room for the next', async () => {
    const token = await seedApiToken(region.shards, 'viewer');
    const {cookie: first} = await signIn(token);
    const {cookie: second} = await signIn(token);
    for (let more = 0; more < 99; more++) await signIn(token);
    expect(await status('GET', '/api/v1/session', {headers: {cookie: first}})).toBe(401);
    expect(await status('GET', '/api/v1/session', {headers: {cookie: second}})).toBe(200);
  });

  test('is found among nine KB of cookies of other applications on the host', async () => {
    const {cookie} = await signIn(await seedApiToken(region.shards, 'viewer'));
    const others = Array.from({length: 3}, (_, index) => `other${index}=${'x'.repeat(3_000)}`).join('; ');
    expect(await status('GET', '/api/v1/devices', {headers: {cookie: `${others}; ${cookie}`}})).toBe(200);
  });

  test('is not ended by signing in or out at another region of the same host', async () => {
    const us = await startTestApi({shards: region.shards, cache: NO_CACHE, region: 'us'});
    try {
      const token = await seedApiToken(region.shards, 'viewer');
      // As browsers keep them: one of a name for a host, whatever its ports.
      const jar = new Map<string, string>();
      const ask = async (at: TestApi, method: string, options: Parameters<TestApi['call']>[2] = {}) => {
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
        const answer = await at.call(method, '/api/v1/session', {...options, headers: {...options.headers, cookie}});
        const [name = '', value = ''] = (answer.headers.get('set-cookie')?.split(';')[0] ?? '').split('=');
        if (value !== '') jar.set(name, value);
        else jar.delete(name);
        return answer;
      };
      await ask(api, 'POST', {body: {token}});
      const {csrfToken} = z.object({csrfToken: z.string()}).parse((await ask(us, 'POST', {body: {token}})).body);
      expect((await ask(api, 'GET')).status).toBe(200);
      expect((await ask(us, 'GET')).status).toBe(200);
      expect((await ask(us, 'DELETE', {headers: {'x-csrf-token': csrfToken}})).status).toBe(204);
      expect((await ask(us, 'GET')).status).toBe(401);
      expect((await ask(api, 'GET')).status).toBe(200);
    } finally {
      await us.close();
    }
  });

  test('goes on while shard 0 is away, cannot be begun or ended meanwhile, and can be ended afterwards', async () => {
    const near = region.topology;
    const away = {...near, shards: near.shards.map((shard) => ({...shard, rw: {host: '127.0.0.1', port: 1}}))};
    let topology = near;
    const listeners: ((next: typeof near, previous: typeof near) => void)[] = [];
    const shards = await openShards({
      topology: {
        current: () => topology,
        onChange: (listener) => {
          listeners.push(listener);
          return () => undefined;
        },
      },
      secretsDir: region.secretsDir,
      applicationName: 'test-without-shard-0',
      log: silentLog,
      metrics: new Registry(),
      sizes: {ingest: 1, dashboard: 2, job: 1},
    });
    const move = (next: typeof near): void => {
      const previous = topology;
      topology = next;
      for (const listener of listeners) listener(next, previous);
    };
    let nowMs = 0;
    const impaired = await startTestApi({shards, cache: NO_CACHE, monotonic: () => nowMs});
    try {
      const token = await seedApiToken(region.shards, 'viewer');
      const {cookie, csrfToken} = await signIn(token, impaired);
      const headers = {cookie, 'x-csrf-token': csrfToken};
      expect(await status('GET', '/api/v1/session', {headers}, impaired)).toBe(200);
      move(away);
      for (nowMs of [6_000, 200_000]) expect(await status('GET', '/api/v1/session', {headers}, impaired)).toBe(200);
      expect(await status('DELETE', '/api/v1/session', {headers}, impaired)).toBe(503);
      expect(await status('POST', '/api/v1/session', {body: {token}}, impaired)).toBe(503);
      move(near);
      nowMs = 210_000;
      expect(await status('DELETE', '/api/v1/session', {headers}, impaired)).toBe(204);
      expect(await status('GET', '/api/v1/session', {headers}, impaired)).toBe(401);
    } finally {
      await impaired.close();
      await shards.close();
    }
  });
});

describe('bad requests', () => {
  test.each([
    ['not JSON', '{"token":', 'application/json', 400],
    ['another type', 'token=x', 'application/x-www-form-urlencoded', 415],
    ['an unknown member', '{"token":"x","admin":true}', 'application/json', 400],
    ['a wrong type', '{"token":1}', 'application/json', 400],
    ['too large', JSON.stringify({token: 'x'.repeat(70_000)}), 'application/json', 413],
  ])('a body that is %s gets a problem document', async (_, body, type, expected) => {
    const answer = await api.call('POST', '/api/v1/session', {body, headers: {'content-type': type}});
    expect(answer.status).toBe(expected);
    expect(answer.body).toMatchObject({status: expected, code: expect.any(String) as unknown});
  });

  test('an unknown path is 404, an unknown method 405 with Allow, an undecodable path 400', async () => {
    expect(await status('GET', '/api/v1/nope', {})).toBe(404);
    const answer = await api.call('PUT', '/api/v1/devices', {});
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
    expect((await api.call('OPTIONS', '/api/v1/session', {})).headers.get('allow')).toBe('POST, GET, HEAD, DELETE');
  });

  test('who has not signed in learns nothing about a body', async () => {
    const path = `/api/v1/devices/${device}/sync`;
    for (const [body, type] of [
      ['{', 'application/json'],
      ['x'.repeat(70_000), 'application/json'],
      ['a=b', 'text/plain'],
    ] as const) {
      expect(await status('POST', path, {body, headers: {'content-type': type}})).toBe(401);
    }
  });

  test('a body that is too large hears how large it may be', async () => {
    const {body} = await api.call('POST', '/api/v1/session', {body: {token: 'x'.repeat(70_000)}});
    expect(body).toMatchObject({status: 413, detail: expect.stringContaining('65536 bytes') as unknown});
  });

  test.each(['0', '501', '1e2', '0x10', '-1', '1.5', '', '%20', 'all', '99999'])(
    'a limit of "%s" is refused with what it may be',
    async (limit) => {
      const token = await seedApiToken(region.shards, 'viewer');
      const {status: seen, body} = await api.call('GET', `/api/v1/devices?limit=${limit}`, {token});
      expect({seen, body}).toMatchObject({
        seen: 400,
        body: {errors: [{pointer: '/limit', detail: 'must be a whole number from 1 to 500'}]},
      });
    },
  );

  test('a token that calls too often is told when to come back, others are not held up', async () => {
    const limited = await startTestApi({shards: region.shards, cache: NO_CACHE, callsPerMinute: 3});
    try {
      const token = await seedApiToken(region.shards, 'viewer');
      for (let left = 2; left >= 0; left--) {
        const answer = await limited.call('GET', '/api/v1/session', {token});
        expect(answer.status).toBe(200);
        expect(answer.headers.get('ratelimit-remaining')).toBe(String(left));
      }
      const refused = await limited.call('GET', '/api/v1/session', {token});
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(refused.headers.get('ratelimit-limit')).toBe('3');
      expect(refused.headers.get('ratelimit-remaining')).toBe('0');
      expect(Number(refused.headers.get('ratelimit-reset'))).toBeGreaterThan(0);
      const other = await seedApiToken(region.shards, 'viewer');
      expect((await limited.call('GET', '/api/v1/session', {token: other})).status).toBe(200);
    } finally {
      await limited.close();
    }
  });

  test('every answer carries the security headers', async () => {
    const {headers} = await api.call('GET', '/api/v1/nope', {});
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('cross-origin-opener-policy')).toBeNull();
    const overTls = await api.call('GET', '/api/v1/nope', {headers: {'x-forwarded-proto': 'https'}});
    expect(overTls.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(headers.get('strict-transport-security')).toBeNull();
    expect(overTls.headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}$/);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-powered-by')).toBeNull();
  });
});

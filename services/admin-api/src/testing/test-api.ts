import {randomUUID} from 'node:crypto';
import type {SyncRequest} from '@pisync/core/broker/sync-request';
import {createGroups} from '@pisync/core/devices/groups';
import {createTokenCache} from '@pisync/core/devices/token-cache';
import {findApiToken} from '@pisync/core/devices/tokens';
import {startHttpServer} from '@pisync/core/http/http-server';
import {CONNECTIONS} from '@pisync/contract/connections';
import {createDoor} from '@pisync/core/limits/door';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import type {Shards} from '@pisync/core/shards/shards';
import {type DocumentedOperation, documentedAnswers} from './documented-answers.ts';
import {silentLog} from './silent-log.ts';
import {v7 as uuidv7} from 'uuid';
import {apiRoutes} from '../api.ts';
import {createApp, MAX_HEADER_BYTES} from '../app.ts';
import type {CacheAccess} from '../caching/read-through.ts';
import {createCredentialNews} from '../devices/credential-news.ts';
import type {RouteDefinition} from '../http/route.ts';
import {createFanOut} from '../paging/fan-out.ts';
import {hashToken, withAdminToken} from '../sessions/api-tokens.ts';
import {createAuthenticator} from '../sessions/authenticate.ts';
import {createCallLimiter} from '../sessions/rate-limit.ts';
import {sessionCookieName} from '../sessions/session-cookie.ts';
import {createSessions, REMEMBERED} from '../sessions/sessions.ts';
import {createSealer} from '../sealing/sealer.ts';

/** The API on a free port of the loopback. Every answer is checked against the OpenAPI document before the test sees it. */
export interface TestApi {
  /** On 127.0.0.1, for what no client would send. */
  readonly port: number;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** `method path` of every operation that was called and answered as documented. */
  readonly seen: ReadonlySet<string>;
  readonly documented: readonly string[];
  readonly operations: readonly DocumentedOperation[];
  /** As they are declared. */
  readonly routes: readonly RouteDefinition[];
  close(): Promise<void>;
}

export interface CallOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface TestApiOptions {
  readonly shards: Shards;
  readonly cache: CacheAccess;
  readonly publish?: (request: SyncRequest) => Promise<void>;
  readonly callsPerMinute?: number;
  readonly shardTimeoutMs?: number;
  readonly auditKey?: string;
  readonly region?: string;
  readonly deviceHost?: string;
  /** The administrator's token of the Secret. */
  readonly adminToken?: string;
  /** Milliseconds since 1970; default: of the machine. */
  readonly now?: () => number;
  /** Milliseconds by which tokens and sessions are remembered. */
  readonly monotonic?: () => number;
  /** So long they are not asked for again; default: never. */
  readonly freshMs?: number;
}

/** One key for all: a cursor of one test API is good at another one, as it is between the pods of a region. */
const SEALING_KEY = Buffer.alloc(32, 5).toString('base64url');

const isText = (type: string): boolean => type === 'text/csv' || type === 'application/x-ndjson';

const parseBody = (type: string, text: string): unknown => {
  if (type === 'text/csv') return text;
  if (type === 'application/x-ndjson')
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]));
  return text === '' ? undefined : (JSON.parse(text) as unknown);
};

export const startTestApi = async (options: TestApiOptions): Promise<TestApi> => {
  const now = options.now ?? Date.now;
  const sealer = createSealer(() => Promise.resolve(SEALING_KEY));
  const region = options.region ?? 'test';
  const cookieName = sessionCookieName(region);
  const monotonic = options.monotonic ?? (() => performance.now());
  const times = {...REMEMBERED, freshMs: options.freshMs ?? 0};
  const sessions = createSessions({shards: options.shards, now, monotonic, ...times});
  const authenticator = createAuthenticator({
    tokens: withAdminToken(
      createTokenCache({
        find: (hash) => findApiToken(options.shards, Buffer.from(hash, 'hex')),
        door: createDoor(CONNECTIONS.adminApi.ingest),
        now: monotonic,
        ...times,
      }),
      {
        matches: (hash) => Promise.resolve(options.adminToken !== undefined && hash === hashToken(options.adminToken)),
      },
    ),
    sessions,
    cookieName,
    now,
  });
  const limiter = createCallLimiter(options.cache, {
    callsPerMinute: options.callsPerMinute ?? 100_000,
    monotonic,
    maxKeys: 100,
  });
  const routes = apiRoutes({
    shards: options.shards,
    groups: createGroups(options.shards, monotonic),
    askShards: createFanOut({
      timeoutMs: options.shardTimeoutMs ?? 5000,
      monotonic: () => performance.now(),
      loadOf: (shard) => options.shards.load(shard, 'dashboard'),
      onMissing: () => undefined,
    }),
    cache: options.cache,
    news: createCredentialNews({cache: options.cache, timers: systemTimers}),
    sealer,
    authenticator,
    limiter,
    sessions,
    cookieName,
    readAuditKey: () => Promise.resolve(options.auditKey ?? 'a key'),
    publishSyncRequest: options.publish ?? (() => Promise.reject(new Error('this test publishes nothing'))),
    region: () => region,
    deviceHost: () => options.deviceHost,
    now,
    newId: randomUUID,
    newTokenId: uuidv7,
    version: '0.0.0-test',
    onRefreshFailed: (error) => process.emitWarning(String(error)),
  });
  const app = createApp({
    routes,
    authenticator,
    limiter,
    page: undefined,
    log: silentLog,
    newRequestId: randomUUID,
    random: () => 0,
  });
  const server = await startHttpServer({app, port: 0, maxConnections: 100, maxHeaderBytes: MAX_HEADER_BYTES});
  const base = `http://127.0.0.1:${server.port}`;
  const document = documentedAnswers(await (await fetch(`${base}/api/v1/openapi.json`)).json());
  const seen = new Set<string>();

  return {
    port: server.port,
    async call(method, path, {token, headers, body} = {}) {
      const response = await fetch(`${base}${path}`, {
        method,
        headers: {
          ...(token === undefined ? {} : {authorization: `Bearer ${token}`}),
          ...(body === undefined ? {} : {'content-type': 'application/json'}),
          ...headers,
        },
        ...(body === undefined ? {} : {body: typeof body === 'string' ? body : JSON.stringify(body)}),
      });
      const text = await response.text();
      const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
      const parsed = parseBody(type, text);
      const operation = document.check(method.toLowerCase(), path.split('?')[0] ?? path, {
        status: response.status,
        type,
        body: isText(type) ? text : parsed,
      });
      if (operation !== undefined) seen.add(`${operation.method} ${operation.path}`);
      return {status: response.status, headers: response.headers, body: parsed};
    },
    seen,
    operations: document.operations,
    routes: routes.map(({definition}) => definition),
    documented: document.operations.map(({method, path}) => `${method} ${path}`),
    close: () => server.stop(0),
  };
};

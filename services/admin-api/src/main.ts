import {CONNECTIONS} from '@pisync/contract/connections';
import {randomUUID} from 'node:crypto';
import {performance} from 'node:perf_hooks';
import {SECRET_KEYS} from '@pisync/contract/files';
import {assertBrokerTopology} from '@pisync/core/broker/broker-topology';
import {brokerNames} from '@pisync/core/broker/names';
import {publishSyncRequest} from '@pisync/core/broker/sync-request';
import type {ConfigOf} from '@pisync/core/config/config';
import {createGroups} from '@pisync/core/devices/groups';
import {createTokenCache} from '@pisync/core/devices/token-cache';
import {findApiToken} from '@pisync/core/devices/tokens';
import {describeError} from '@pisync/core/errors/app-error';
import {startHttpServer} from '@pisync/core/http/http-server';
import {createDoor} from '@pisync/core/limits/door';
import {runService, type Service} from '@pisync/core/lifecycle/run-service';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {connectBroker, connectCache, connectShards, followTopology, openPublisher} from '@pisync/core/region/connect';
import {createSecretToken} from '@pisync/core/secrets/secret-token';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {v7 as uuidv7} from 'uuid';
import {apiRoutes} from './api.ts';
import {createApp, MAX_HEADER_BYTES} from './app.ts';
import {adminApiConfig} from './config.ts';
import {createCredentialNews} from './devices/credential-news.ts';
import {readStaticFiles, type StaticFiles} from './page/static-files.ts';
import {createFanOut} from './paging/fan-out.ts';
import {withAdminToken} from './sessions/api-tokens.ts';
import {createAuthenticator} from './sessions/authenticate.ts';
import {createCallLimiter} from './sessions/rate-limit.ts';
import {sessionCookieName} from './sessions/session-cookie.ts';
import {createSessions, REMEMBERED} from './sessions/sessions.ts';
import {createSealer} from './sealing/sealer.ts';
import packageJson from '../package.json' with {type: 'json'};

/** People are few; what is beyond this is a loop, and its proxy waits. */
const MAX_CONNECTIONS = 2000;
/** More than a region has tokens, small enough to forget about. */
const MAX_LIMITED_TOKENS = 10_000;

type AdminApi = Service<ConfigOf<typeof adminApiConfig>>;

/** Runs admin-api until it is told to stop. */
export const main = (argv: readonly string[]): Promise<void> =>
  runService({
    definition: adminApiConfig,
    argv,
    process,
    now: () => performance.now(),
    drainMs: (config) => config.drainMs,
    body: serve,
  });

const serve = async (service: AdminApi): Promise<'serving'> => {
  const {config, life, log, tracer, readiness} = service;
  // What lasts some time goes by `monotonic`: a clock that is put back would make it last longer. The other one is for what people see.
  const [monotonic, now] = [(): number => performance.now(), Date.now];
  const secrets = openSecrets(config.secretsDir);
  const sealer = createSealer(() => secrets.read('signing', SECRET_KEYS.signing.key));
  // Fails now, with the file's name, rather than at the first list.
  await secrets.read('signing', SECRET_KEYS.signing.key);

  const topology = await followTopology(service);
  const shards = await connectShards(service, topology, {...CONNECTIONS.adminApi, dashboard: config.poolSize});
  const cache = await connectCache(service, topology, monotonic);
  const connection = await connectBroker(service, topology, {purpose: 'sync requests', random: Math.random});
  const names = brokerNames(config.brokerPrefix);
  const {partitions} = topology.current().broker;
  const publisher = await openPublisher(service, {
    connection,
    declare: (channel) => assertBrokerTopology(channel, names, partitions),
    confirmTimeoutMs: config.confirmTimeoutMs,
  });

  const sessions = createSessions({shards, now, monotonic, ...REMEMBERED});
  // A region's public name never changes.
  const cookieName = sessionCookieName(topology.current().region);
  const authenticator = createAuthenticator({
    tokens: withAdminToken(
      createTokenCache({
        find: (hash) => findApiToken(shards, Buffer.from(hash, 'hex')),
        door: createDoor(CONNECTIONS.adminApi.ingest),
        now: monotonic,
        ...REMEMBERED,
      }),
      createSecretToken({secrets, key: 'adminToken', monotonic}),
    ),
    sessions,
    cookieName,
    now,
  });
  const limiter = createCallLimiter(cache, {
    callsPerMinute: config.callsPerMinute,
    monotonic,
    maxKeys: MAX_LIMITED_TOKENS,
  });
  const routes = apiRoutes({
    shards,
    groups: createGroups(shards, monotonic),
    askShards: createFanOut({
      timeoutMs: config.shardTimeoutMs,
      monotonic,
      loadOf: (shard) => shards.load(shard, 'dashboard'),
      onMissing: (shard, reason) => log.warn({shard, reason}, 'a shard is missing in an answer'),
    }),
    cache,
    news: createCredentialNews({cache, timers: systemTimers}),
    sealer,
    authenticator,
    limiter,
    sessions,
    cookieName,
    readAuditKey: () => secrets.read('audit', SECRET_KEYS.audit.key),
    publishSyncRequest: (request) => publishSyncRequest(publisher, names, request),
    region: () => topology.current().region,
    deviceHost: () => topology.current().deviceHost,
    now,
    newId: randomUUID,
    newTokenId: uuidv7,
    version: packageJson.version,
    onRefreshFailed: (error) => log.warn({reason: describeError(error)}, 'the devices could not be counted again'),
  });
  const app = createApp({
    routes,
    authenticator,
    limiter,
    page: await readPage(service),
    log,
    newRequestId: randomUUID,
    random: Math.random,
  });
  // Shards and broker are not asked: without one of them most of the API still answers, and a restart would mend nothing.
  readiness.add('slot map', () => shards.slotMap.check());
  const server = await life.own(
    'HTTP server',
    () =>
      startHttpServer({
        app,
        port: config.httpPort,
        maxConnections: MAX_CONNECTIONS,
        maxHeaderBytes: MAX_HEADER_BYTES,
        draining: life.stopping,
        tracer,
      }),
    (opened) => opened.stop(),
  );
  log.info({port: server.port}, 'listening');
  return 'serving';
};

/** The API is worth running without the page: the folder may be missing in development. */
const readPage = async ({config, log}: AdminApi): Promise<StaticFiles | undefined> => {
  try {
    return await readStaticFiles(config.dashboardDir);
  } catch (error) {
    log.warn({folder: config.dashboardDir, reason: describeError(error)}, 'there is no dashboard to serve');
    return undefined;
  }
};

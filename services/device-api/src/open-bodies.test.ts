import {once} from 'node:events';
import {connect} from 'node:net';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import type {Credential} from '@pisync/core/devices/credentials';
import {tokenHash} from '@pisync/core/devices/tokens';
import {type HttpServer, startHttpServer} from '@pisync/core/http/http-server';
import {createApp} from './app.ts';
import {formatCredential} from './credentials/bearer.ts';
import type {CredentialStore} from './credentials/credential-store.ts';
import {enrolRoute, type EnrolRouteOptions} from './enrol/enrol-route.ts';
import {createAdmission} from './limits/admission.ts';
import {createDeviceQuota} from './limits/device-quota.ts';
import {POLICY} from './policy.ts';
import {parseSyncBody} from './sync/sync-body.ts';
import {syncRoute} from './sync/sync-route.ts';
import type {SyncAnswer} from './sync/sync-service.ts';

const DEVICE = {deviceId: '11111111-1111-5111-8111-111111111111', secret: 'A'.repeat(43)};
const CREDENTIAL: Credential = {
  deviceId: DEVICE.deviceId,
  deviceKey: 1,
  slot: 1,
  secretHash: tokenHash(DEVICE.secret),
  epoch: 1,
  revoked: false,
};
const AUTHORIZATION = `Bearer ${formatCredential(DEVICE)}`;
const ANSWER: SyncAnswer = {
  applied: 0,
  duplicate: false,
  nextSyncAt: 0,
  continueNow: false,
  commands: [],
  serverTime: 0,
  policy: POLICY,
};

let server: HttpServer;
beforeEach(async () => {
  const unused = () => Promise.reject(new Error('not for this test'));
  const credentials: CredentialStore = {
    find: () => Promise.resolve(CREDENTIAL),
    findFresh: unused,
    introduce: unused,
    invalidate: unused,
  };
  const admission = createAdmission({
    brokerTrouble: () => undefined,
    lagMs: () => 0,
    limits: {maxOpenBatches: 50, maxOpenBytes: 64 * 1024 * 1024, maxLagMs: 1000},
    registry: new Registry(),
  });
  const now = () => 0;
  // The tests enrol nobody, so what an enrolment would ask is never reached.
  const unreached = {shards: {}, keys: {}} as Pick<EnrolRouteOptions, 'shards' | 'keys'>;
  const app = createApp({
    log: pino({level: 'silent'}),
    metrics: (_request, _response, next) => next(),
    enrol: enrolRoute({
      ...unreached,
      credentials,
      admission,
      hints: {write: () => Promise.resolve()},
      reEnrolments: {charge: () => Promise.resolve()},
      newDevices: {take: () => Promise.resolve(() => Promise.resolve())},
      usedUp: {check: () => undefined, charge: () => Promise.resolve()},
      secretToken: {matches: () => Promise.resolve(false)},
      region: () => 'test',
      fromShard: (answer) => answer,
      controlDoor: () => new Promise(() => undefined),
      log: pino({level: 'silent'}),
      registry: new Registry(),
      now,
    }),
    sync: syncRoute({
      credentials,
      admission,
      quota: createDeviceQuota({burst: 1000, perSecond: 1, now}),
      bytes: {check: () => undefined},
      bodies: {read: (payload) => Promise.resolve(parseSyncBody(payload))},
      service: {sync: () => Promise.resolve(ANSWER)},
      region: () => 'test',
    }),
    receipts: (_request, _response, next) => next(),
    region: () => 'test',
    createRequestId: () => 'request',
    random: () => 0,
    wallClock: () => 0,
  });
  server = await startHttpServer({app, port: 0, maxConnections: 1000});
});
afterEach(() => server.stop(0));

const sync = () =>
  fetch(`http://127.0.0.1:${server.port}/v1/sync`, {
    method: 'POST',
    headers: {authorization: AUTHORIZATION},
    body: JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', records: []}),
  });

test.each([
  ['strangers', '/v1/enroll', 'Content-Encoding: gzip\r\nTransfer-Encoding: chunked'],
  ['strangers', '/v1/enroll', 'Content-Length: 16384'],
  ['devices', '/v1/sync', 'Content-Encoding: gzip\r\nTransfer-Encoding: chunked'],
  ['devices', '/v1/sync', 'Content-Length: 524288'],
])('%s who announce bodies to %s (%j) and send none keep nobody out', async (_who, path, announced) => {
  // More than there are places, and at 1 MiB each more than there are bytes.
  const sockets = Array.from({length: 200}, () => connect(server.port, '127.0.0.1'));
  try {
    for (const socket of sockets) {
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTHORIZATION}\r\n${announced}\r\nExpect: 100-continue\r\n\r\n`,
      );
      // It is sent when the request is.
      await once(socket, 'data');
    }
    expect((await sync()).status).toBe(200);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('bodies of strangers that stop half-way make room for those that come', async () => {
  const sockets = Array.from({length: 600}, () => connect(server.port, '127.0.0.1'));
  try {
    // A share of 8 MiB is full after 512 of them.
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.write(`POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 16384\r\n\r\n${' '.repeat(16_380)}`);
    }
    await Promise.any(sockets.map((socket) => once(socket, 'data')));
    const body = `{}${' '.repeat(16_000)}`;
    const enrol = async (): Promise<number> =>
      (await fetch(`http://127.0.0.1:${server.port}/v1/enroll`, {method: 'POST', body})).status;
    const deadline = performance.now() + 5_000;
    let status = await enrol();
    while (status === 503 && performance.now() < deadline) status = await enrol();
    // It was read: what it lacks was seen.
    expect(status).toBe(400);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}, 20_000);

test('strangers who wait for a database that hangs keep no device out', async () => {
  const body = JSON.stringify({hardwareId: 'x', secret: 'B'.repeat(43), enrolmentToken: 'bogus'});
  const sockets = Array.from({length: 200}, () => connect(server.port, '127.0.0.1'));
  try {
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.write(`POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
    // Not all of them may wait.
    await Promise.any(sockets.map((socket) => once(socket, 'data')));
    expect((await sync()).status).toBe(200);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('one stranger who sends bytes one by one keeps nobody out', async () => {
  const socket = connect(server.port, '127.0.0.1');
  try {
    socket.write(
      `POST /v1/enroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(16_384)}`,
    );
    const until = performance.now() + 500;
    while (performance.now() < until) {
      const {status} = await fetch(`http://127.0.0.1:${server.port}/v1/enroll`, {method: 'POST', body: '{}'});
      expect(status).toBe(400);
    }
  } finally {
    socket.destroy();
  }
});

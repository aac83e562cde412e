import {gzipSync} from 'node:zlib';
import {hash, randomBytes, randomUUID} from 'node:crypto';
import {connect, createServer, type AddressInfo, type Socket} from 'node:net';
import {once} from 'node:events';
import {afterAll, beforeAll, describe, expect, jest, test} from '@jest/globals';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {enrol} from '@pisync/core/devices/enrolment';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {tokenHash} from '@pisync/core/devices/tokens';
import {openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {until} from '@pisync/core/testing/until';
import pg from 'pg';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi();
}, 60_000);
afterAll(async () => {
  await api.stop();
}, 60_000);

const batch = (batchSeq: number, more: object = {}) => ({
  epoch: 'e1',
  batchSeq,
  mode: 'delta',
  reason: 'scheduled',
  records: [{s: batchSeq, k: 'temperature', t: 1_760_000_000_000, d: {celsius: 4.5}}],
  ...more,
});

const sync = (auth: Readonly<Record<string, string>>, body: unknown) =>
  api.call('POST', '/v1/sync', auth, typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));

describe('enrolment', () => {
  test('is idempotent for one secret, and a new secret is a new epoch that shuts the old one out', async () => {
    const first = await api.enrol();
    expect(first.json).toMatchObject({epoch: 'e1', region: 'test', policy: {maxRecords: 500}});
    const body = JSON.stringify({hardwareId: first.hardwareId, secret: first.secret, enrolmentToken: api.token});
    const again = await api.call('POST', '/v1/enroll', {}, body);
    expect({status: again.status, json: again.json}).toEqual({status: 200, json: first.json});
    expect((await sync(first.auth, batch(1))).status).toBe(200);
    const replaced = await api.enrol(first.hardwareId);
    expect(replaced.json).toMatchObject({epoch: 'e2', deviceId: first.json.deviceId});
    expect((await sync(first.auth, batch(2))).status).toBe(401);
    expect((await sync(replaced.auth, batch(1, {epoch: 'e2'}))).status).toBe(200);
    expect((await sync(replaced.auth, batch(1, {epoch: 'e3'}))).json).toMatchObject({status: 403, code: 'enrol-again'});
  });

  test.each([
    ['an unknown token', {hardwareId: 'x', secret: 'a'.repeat(43), enrolmentToken: 'nope'}, 401],
    ['no token', {hardwareId: 'x', secret: 'a'.repeat(43)}, 401],
    ['a short secret', {hardwareId: 'x', secret: 'abc', enrolmentToken: 'nope'}, 400],
    ['a NUL in its name', {hardwareId: 'x', secret: 'a'.repeat(43), enrolmentToken: 'nope', name: 'a\0b'}, 400],
  ])('with %s is refused', async (_name, body, status) => {
    expect((await api.call('POST', '/v1/enroll', {}, JSON.stringify(body))).status).toBe(status);
  });
});

test('the enrolment token of the Secret lets in, until another stands there', async () => {
  const enrol = (enrolmentToken: string) =>
    api.call(
      'POST',
      '/v1/enroll',
      {},
      JSON.stringify({hardwareId: randomUUID(), secret: randomBytes(32).toString('base64url'), enrolmentToken}),
    );
  await api.putSecretToken('first-token');
  await until('the first token', async () => (await enrol('first-token')).status === 200);
  await api.putSecretToken('second-token');
  await until('the second token', async () => (await enrol('second-token')).status === 200);
  expect((await enrol('first-token')).status).toBe(401);
}, 60_000);

describe('a batch', () => {
  test('is answered after it is in a queue, whole and with what a worker needs', async () => {
    await api.drain(0);
    const device = await api.enrol();
    const body = JSON.stringify(batch(1, {state: {v: 1}, more: true, unknown: ['ignored']}));
    const answer = await api.call('POST', '/v1/sync', {...device.auth, 'content-encoding': 'gzip'}, gzipSync(body));
    const contentHash = hash('sha256', JSON.stringify([{v: 1}, batch(1).records]), 'hex');
    const said = {accepted: 1, applied: 0, contentHash, duplicate: false, continueNow: true, commands: []};
    expect(answer).toMatchObject({status: 200, json: said});
    expect(answer.headers.get('x-pisync-protocol')).toBe('1');
    const [item, ...others] = await api.drain();
    expect(others).toEqual([]);
    expect(item?.payload.toString()).toBe(body);
    expect(item?.meta).toMatchObject({deviceId: device.json.deviceId, epoch: 1, batchSeq: 1, mode: 'delta', bad: []});
  });

  test('of a device that no cache knows costs its shard one statement', async () => {
    // Enrolled by another process.
    const [deviceId, secret] = [randomUUID(), randomBytes(32).toString('base64url')];
    const {shards} = api.databases;
    const made = {deviceId, hardwareId: `hw-${deviceId}`, secretHash: tokenHash(secret), groupId: DEFAULT_GROUP};
    await enrol(shards, createDeviceKeys(shards), made);
    const asked = jest.spyOn(pg.Pool.prototype, 'query');
    try {
      const answer = await sync({authorization: `Bearer ps_${deviceId}.${secret}`}, batch(1));
      expect(answer).toMatchObject({status: 200, json: {accepted: 1, applied: 0, commands: []}});
      const ofDevice = asked.mock.calls.filter((call) => JSON.stringify(call).includes(deviceId));
      expect(ofDevice).toMatchObject([[{name: 'device-context'}]]);
    } finally {
      asked.mockRestore();
    }
  });

  test('that is sent again gets the same receipt, and other content under its number goes to a worker to judge', async () => {
    const device = await api.enrol();
    const first = await sync(device.auth, batch(1));
    await api.drain();
    const second = await sync(device.auth, batch(1, {reason: 'retry', stats: {attempt: 2}}));
    expect(second.json).toMatchObject({accepted: 1, duplicate: true, receipt: first.json.receipt});
    expect(await api.drain(0)).toEqual([]);
    expect((await sync(device.auth, batch(1, {records: []}))).status).toBe(200);
    expect(await api.drain()).toHaveLength(1);
  });

  test('with bad records is taken without them, and each is named', async () => {
    const device = await api.enrol();
    await api.drain(0);
    const good = {s: 1, k: 'a'};
    const records = [
      good,
      {s: 'x', k: 'a'},
      {s: 2, k: 'nul', d: {text: 'a\0b'}},
      {s: 3, k: 'half', d: ['\ud800']},
      7,
      good,
    ];
    const answer = await sync(device.auth, batch(1, {records}));
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({accepted: 1, code: 'invalid', applied: 0});
    // problem+json lists faults as {pointer, detail}.
    const errors = answer.json.errors as readonly {pointer: string}[];
    const pointers = ['/records/1/s', '/records/2/d', '/records/3/d', '/records/4'];
    expect(errors.map(({pointer}) => pointer)).toEqual(pointers);
    const items = await api.drain();
    expect(items.map(({meta}) => meta.bad)).toEqual([[1, 2, 3, 4]]);
  });

  test('with a record that is too large in the database is taken without it, and the next batch as well', async () => {
    const device = await api.enrol();
    await api.drain(0);
    const records = `{"s":1,"k":"a"},{"s":2,"k":"a","d":["€"${',1e20'.repeat(200_000)}]}`;
    const body = gzipSync(`{"epoch":"e1","batchSeq":1,"mode":"delta","records":[${records}]}`);
    const answer = await sync({...device.auth, 'content-encoding': 'gzip'}, body);
    expect(answer).toMatchObject({status: 422, json: {accepted: 1, errors: [{pointer: '/records/1/d'}]}});
    expect((await sync(device.auth, batch(2))).status).toBe(200);
    const metas = (await api.drain(2)).map(({meta: {batchSeq, bad, records}}) => ({batchSeq, bad, records}));
    expect(metas.sort((a, b) => a.batchSeq - b.batchSeq)).toEqual([
      {batchSeq: 1, bad: [1], records: 2},
      {batchSeq: 2, bad: [], records: 1},
    ]);
  });

  test.each([
    ['a NUL', JSON.stringify({a: '\0'})],
    ['more than is stored', `{"a":[0${',1e308'.repeat(60)}]}`],
    ['a number that would change', '{"a":9007199254740993}'],
    ['two members of one name', '{"a":1,"a":2}'],
  ])('with %s in its state is taken without it', async (_what, state) => {
    const device = await api.enrol();
    await api.drain(0);
    const answer = await sync(
      device.auth,
      `{"epoch":"e1","batchSeq":1,"mode":"delta","state":${state},"records":[{"s":1,"k":"a"}]}`,
    );
    expect(answer).toMatchObject({
      status: 422,
      json: {accepted: 1, detail: 'the state cannot be stored; the rest is taken'},
    });
    // problem+json lists faults as {pointer, detail}.
    expect((answer.json.errors as readonly {pointer: string}[]).map(({pointer}) => pointer)).toEqual([
      expect.stringMatching(/^\/state/),
    ]);
    expect((await api.drain()).map(({meta: {bad, badState}}) => ({bad, badState}))).toEqual([
      {bad: [], badState: true},
    ]);
  });

  test('with a fault below a long name, and in gzip, has a short answer', async () => {
    const device = await api.enrol();
    const record = `{"s":1,"k":"a","d":{"${'/'.repeat(900_000)}":1e400}}`;
    const body = gzipSync(`{"epoch":"e1","batchSeq":1,"mode":"delta","records":[${record}]}`);
    const answer = await api.call('POST', '/v1/sync', {...device.auth, 'content-encoding': 'gzip'}, body);
    expect(answer).toMatchObject({status: 422, json: {accepted: 1}});
    expect(JSON.stringify(answer.json).length).toBeLessThan(4_000);
  });

  test.each([
    ['wakeup', 'x-gzip'],
    [{why: 'a newer device'}, 'GZIP'],
  ])('with the reason %j, coded as %s, is taken', async (reason, coding) => {
    const device = await api.enrol();
    const body = gzipSync(JSON.stringify(batch(1, {reason})));
    const answer = await api.call('POST', '/v1/sync', {...device.auth, 'content-encoding': coding}, body);
    expect(answer).toMatchObject({status: 200, json: {accepted: 1}});
  });

  test('too far ahead of the applied one is told what is expected', async () => {
    const device = await api.enrol();
    expect((await sync(device.auth, batch(64))).status).toBe(200);
    expect((await sync(device.auth, batch(65))).json).toMatchObject({status: 409, expected: 1, applied: 0});
  });
});

describe('a bad call', () => {
  test.each<[string, string | Buffer, number]>([
    ['malformed JSON', '{"epoch":"e1",', 400],
    ['an empty body', '', 400],
    ['an array', '[]', 400],
    ['wrong types', JSON.stringify(batch(1, {batchSeq: 'one'})), 400],
    ['a negative number', JSON.stringify(batch(-1)), 400],
    ['batch 0', JSON.stringify(batch(0)), 400],
    ['a mode of its own', JSON.stringify(batch(1, {mode: 'other'})), 400],
    ['a heartbeat with records', JSON.stringify(batch(1, {mode: 'heartbeat'})), 400],
    ['a megabyte of brackets', '['.repeat(500_000), 400],
    ['too many records', JSON.stringify(batch(1, {records: new Array(501).fill({s: 1, k: 'a'})})), 413],
    ['a large body', Buffer.alloc(600_000, 0x20), 413],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0x80]), 400],
  ])('with %s is refused', async (_name, body, status) => {
    const device = await api.enrol();
    const answer = await sync(device.auth, body);
    expect({status: answer.status, type: answer.headers.get('content-type')}).toEqual({
      status,
      type: 'application/problem+json',
    });
  });

  test('that is a gzip bomb is refused without inflating it', async () => {
    const device = await api.enrol();
    const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024));
    const headers = {...device.auth, 'content-encoding': 'gzip'};
    const before = process.memoryUsage().rss;
    const answers = await Promise.all(Array.from({length: 50}, () => api.call('POST', '/v1/sync', headers, bomb)));
    expect(answers.map(({status}) => status)).toEqual(new Array(50).fill(413));
    const grownMb = (process.memoryUsage().rss - before) / 2 ** 20;
    // Inflated they would be 500 MB.
    expect(grownMb).toBeLessThan(150);
    expect((await api.call('POST', '/v1/sync', headers, 'not gzip')).status).toBe(400);
    const foreign = await api.call('POST', '/v1/sync', {...device.auth, 'content-encoding': 'br'}, 'x');
    expect([foreign.status, foreign.headers.get('accept-encoding')]).toEqual([415, 'gzip']);
  });

  test('without, with broken, or with foreign credentials is a 401', async () => {
    const device = await api.enrol();
    const deviceId = String(device.json.deviceId);
    const secret = randomBytes(32).toString('base64url');
    const tokens = [
      undefined,
      'Bearer',
      'Basic eDp5',
      'Bearer x',
      `Bearer ps_${deviceId}.${secret}`,
      `Bearer ps_${randomUUID()}.${secret}`,
    ];
    for (const authorization of tokens) {
      const answer = await sync(authorization === undefined ? {} : {authorization}, batch(1));
      expect({authorization, status: answer.status}).toEqual({authorization, status: 401});
    }
    expect((await api.call('GET', '/v1/sync/receipts', {})).status).toBe(401);
  });

  test('to no route, or with another method, is named', async () => {
    expect((await api.call('GET', '/v1/nothing', {})).status).toBe(404);
    expect((await api.call('GET', '/v1/sync', {})).status).toBe(405);
  });
});

test('receipts and the time are there to be read', async () => {
  const device = await api.enrol();
  expect((await api.call('GET', '/v1/sync/receipts?after=0', device.auth)).json).toEqual({
    region: 'test',
    deviceId: device.json.deviceId,
    epoch: 'e1',
    receipts: [],
    more: false,
  });
  expect((await api.call('GET', '/v1/sync/receipts?after=x', device.auth)).status).toBe(400);
  expect(typeof (await api.call('GET', '/v1/time', {})).json.serverTime).toBe('number');
});

test('a device that calls too often is told when to come back', async () => {
  const strict = await startTestDeviceApi({deviceBurst: 2});
  try {
    const {auth} = await strict.enrol();
    const bodies = [1, 2, 3].map((number) => JSON.stringify(batch(number)));
    const answers = [];
    for (const body of bodies) answers.push(await strict.call('POST', '/v1/sync', auth, body));
    expect(answers.map(({status}) => status)).toEqual([200, 200, 429]);
    expect(Number(answers[2]?.headers.get('retry-after'))).toBeGreaterThan(0);
  } finally {
    await strict.stop();
  }
}, 60_000);

test('a device that would have too much stored is told when to come back, and another is not', async () => {
  const strict = await startTestDeviceApi({deviceBurstBytes: 64 * 1024});
  try {
    const [greedy, modest] = [await strict.enrol(), await strict.enrol()];
    const send = (auth: Readonly<Record<string, string>>, number: number) =>
      strict.call('POST', '/v1/sync', auth, JSON.stringify(batch(number, {state: {a: 'x'.repeat(15_000)}})));
    const answers = [];
    for (let number = 1; number <= 6; number++) answers.push(await send(greedy.auth, number));
    expect(answers.map(({status}) => status)).toEqual([200, 200, 200, 200, 429, 429]);
    expect(Number(answers[4]?.headers.get('retry-after'))).toBeGreaterThan(0);
    // It hears so again without a byte of the body, however that is sent.
    for (const announced of ['Content-Length: 15000', 'Transfer-Encoding: chunked']) {
      const socket = connect(strict.port, '127.0.0.1');
      socket.write(
        `POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: ${greedy.auth.authorization}\r\n${announced}\r\n\r\n`,
      );
      const answer: unknown = (await once(socket, 'data'))[0];
      socket.destroy();
      expect(String(answer)).toMatch(/^HTTP\/1.1 429 [^]*\r\nRetry-After: \d+\r\n/);
    }
    // Nor is a packed one looked into, which is no JSON.
    const packed = await fetch(`http://127.0.0.1:${strict.port}/v1/sync`, {
      method: 'POST',
      headers: {...greedy.auth, 'content-encoding': 'gzip'},
      body: gzipSync('x'.repeat(15_000)),
    });
    expect(packed.status).toBe(429);
    const beat = JSON.stringify({epoch: 'e1', batchSeq: 0, mode: 'heartbeat'});
    expect((await strict.call('POST', '/v1/sync', greedy.auth, beat)).status).toBe(200);
    expect((await send(modest.auth, 1)).status).toBe(200);
    // What was refused is in no queue.
    expect(await strict.drain(5)).toHaveLength(5);
  } finally {
    await strict.stop();
  }
}, 60_000);

test('a broker that does not confirm is a 503 with a time to come back, and the same batch is taken once it does', async () => {
  const proxy = await openMuteProxy(new URL(process.env.PISYNC_TEST_AMQP_URL ?? ''));
  const cutOff = await startTestDeviceApi({brokerPort: proxy.port});
  try {
    const {auth} = await cutOff.enrol();
    const send = () => cutOff.call('POST', '/v1/sync', auth, JSON.stringify(batch(1)));
    proxy.state.mute = true;
    const unconfirmed = await send();
    expect(unconfirmed.json).toMatchObject({status: 503, code: 'broker-timeout'});
    expect(Number(unconfirmed.headers.get('retry-after'))).toBeGreaterThan(0);
    proxy.cut();
    await until('the loss to be noticed', () => cutOff.publisher.trouble() !== undefined);
    const began = performance.now();
    expect((await send()).json).toMatchObject({status: 503, code: 'broker-unavailable'});
    expect(performance.now() - began).toBeLessThan(500);
    proxy.state.mute = false;
    await until('the broker to be back', () => cutOff.publisher.trouble() === undefined);
    expect((await send()).json).toMatchObject({accepted: 1, duplicate: false});
    // The first attempt reached the broker too; a worker takes one of them.
    const items = await cutOff.drain();
    expect(new Set(items.map(({meta}) => `${meta.epoch}:${meta.batchSeq}:${meta.contentHash}`)).size).toBe(1);
  } finally {
    await cutOff.stop();
    proxy.close();
  }
}, 60_000);

/** Accepts connections and says nothing: a server that hangs. */
const openSilence = async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A listening TCP server has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      // It reads nothing, so it does not notice that a client has left.
      for (const socket of sockets) socket.destroy();
    },
  };
};

test('a Redis that hangs costs milliseconds and changes no answer', async () => {
  const silence = await openSilence();
  const lonely = await startTestDeviceApi({redisPort: silence.port});
  try {
    const {auth} = await lonely.enrol();
    for (let number = 1; number <= 8; number++)
      await lonely.call('POST', '/v1/sync', auth, JSON.stringify(batch(number)));
    const began = performance.now();
    const answer = await lonely.call('POST', '/v1/sync', auth, JSON.stringify(batch(9)));
    expect(answer.json).toMatchObject({accepted: 9, duplicate: false});
    expect(performance.now() - began).toBeLessThan(500);
    expect((await lonely.drain(9)).map(({meta}) => meta.batchSeq).sort((a, b) => a - b)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
  } finally {
    await lonely.stop();
    silence.close();
  }
}, 60_000);

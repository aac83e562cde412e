import {createHook} from 'node:async_hooks';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {type HttpServer, startHttpServer} from '@pisync/core/http/http-server';
import {until} from '@pisync/core/testing/until';
import {z} from 'zod';
import {createApp} from '../app.ts';
import {silentLog} from '../testing/silent-log.ts';
import {route} from './route.ts';

const PATH = '/api/v1/echo';
const LONG_PATH = '/api/v1/long';
const SLOW_PATH = '/api/v1/slow';
const CONSTANT_PATH = '/api/v1/constant';
const PIECES_PATH = '/api/v1/pieces';
const access = 'anyone';
/** Twelve MiB, and packed more than the kernel takes for a peer that does not read: nine. */
const DENSE = randomBytes(9 * 1024 * 1024).toString('base64');
const success = {status: 200, description: 'What was sent.', schema: z.unknown()} as const;

const ANN = {
  id: null,
  name: 'ann',
  rootId: null,
  role: 'viewer',
  scope: undefined,
  expiresAt: null,
  tokenHash: 'of-ann',
} as const;

let timesWritten = 0;
const CONSTANT = {
  toJSON: () => {
    timesWritten++;
    return 'x'.repeat(2000);
  },
};

/** How many pieces of an answer were made, and how many there are before one fails. */
let pieces = {made: 0, good: 0};
const makePieces = async function* (): AsyncGenerator<string> {
  for (; pieces.made < pieces.good; pieces.made++) yield await Promise.resolve('x'.repeat(200_000));
  if (pieces.good < 1000) throw new Error('no more');
};

let slow = Promise.withResolvers<undefined>();
let server: HttpServer;
beforeEach(async () => {
  slow = Promise.withResolvers();
  const unused = () => Promise.reject(new Error('not for this test'));
  const app = createApp({
    routes: [
      route(
        {method: 'get', path: PATH, operationId: 'ask', summary: '', access, query: z.object({a: z.string()}), success},
        ({query}) => Promise.resolve({body: query}),
      ),
      route(
        {method: 'post', path: PATH, operationId: 'echo', summary: '', access, body: z.unknown(), success},
        ({body}) => Promise.resolve({body}),
      ),
      route({method: 'get', path: LONG_PATH, operationId: 'long', summary: '', access, success, tagged: () => 1}, () =>
        Promise.resolve({body: DENSE, headers: {'Set-Cookie': 'a=b'}}),
      ),
      route(
        {method: 'get', path: CONSTANT_PATH, operationId: 'same', summary: '', access, success, constant: true},
        () => Promise.resolve({body: CONSTANT}),
      ),
      route(
        {
          method: 'get',
          path: PIECES_PATH,
          operationId: 'pieces',
          summary: '',
          access,
          success: {...success, streams: []},
        },
        () => Promise.resolve({body: undefined, stream: {type: 'text/csv', fileName: 'x.csv', chunks: makePieces()}}),
      ),
      route({method: 'get', path: SLOW_PATH, operationId: 'slow', summary: '', access: 'read', success}, async () => {
        await slow.promise;
        return {body: 'slow'};
      }),
    ],
    authenticator: {principalOf: () => Promise.resolve(ANN), principalOfToken: unused},
    limiter: {take: () => Promise.resolve({limit: 1, remaining: 1, resetSeconds: 1, waitSeconds: 0}), charge: unused},
    page: undefined,
    log: silentLog,
    newRequestId: () => 'request',
    random: () => 0,
  });
  server = await startHttpServer({app, port: 0, maxConnections: 1000});
});
afterEach(() => server.stop(0));

const answerTo = async (text: string): Promise<string> => {
  const socket = connect(server.port, '127.0.0.1');
  try {
    socket.write(text);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString();
  } finally {
    socket.destroy();
  }
};

const post = (body: string | Uint8Array<ArrayBuffer>) =>
  fetch(`http://127.0.0.1:${server.port}${PATH}`, {
    method: 'POST',
    headers: {'content-type': 'application/json'},
    body,
  });

test('bodies of strangers that stop half-way make room for those that come', async () => {
  const sockets = Array.from({length: 200}, () => connect(server.port, '127.0.0.1'));
  try {
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.write(
        `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65536\r\n\r\n${' '.repeat(65_000)}`,
      );
    }
    // Not all of them fit.
    const signal = AbortSignal.timeout(5_000);
    const [refusal] = (await Promise.any(sockets.map((socket) => once(socket, 'data', {signal})))) as [Buffer];
    expect(refusal.toString()).toMatch(/^HTTP\/1\.1 503 /);
    const deadline = performance.now() + 5_000;
    let answer = await post('{"a":1}');
    while (answer.status === 503 && performance.now() < deadline) answer = await post('{"a":1}');
    expect(await answer.json()).toEqual({a: 1});
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}, 20_000);

test('answers take no more than their room while they are packed and until they are read, and those that nobody reads make room', async () => {
  const sockets = Array.from({length: 24}, () => connect(server.port, '127.0.0.1'));
  try {
    const signal = AbortSignal.timeout(20_000);
    const begin = async (socket: Socket): Promise<string> => {
      socket.on('error', () => undefined);
      socket.write(`GET ${LONG_PATH} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n`);
      const [bytes] = (await once(socket, 'data', {signal})) as [Buffer];
      socket.pause();
      return bytes.toString('latin1');
    };
    const heads = await Promise.all(sockets.map(begin));
    const statuses = heads.map((head) => head.slice(0, 12));
    const refused = heads.find((head) => head.startsWith('HTTP/1.1 503'));
    // Neither what a cache would keep it by, nor what the refused call was to leave in the browser.
    expect(refused).toMatch(/^cache-control: no-store\r$/im);
    expect(refused).not.toMatch(/^(etag|set-cookie):/im);
    // Two fit into 32 MiB, and once they are packed one more.
    const served = statuses.filter((line) => line === 'HTTP/1.1 200').length;
    expect([2, 3]).toContain(served);
    expect(statuses.filter((line) => line === 'HTTP/1.1 503')).toHaveLength(24 - served);
    const answer = await until(
      'room',
      () => fetch(`http://127.0.0.1:${server.port}${LONG_PATH}`),
      ({status}) => status === 200,
      10_000,
    );
    expect(await answer.json()).toBe(DENSE);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}, 40_000);

test('one token has so many calls under way, and more when some of them have ended', async () => {
  const ask = () => fetch(`http://127.0.0.1:${server.port}${SLOW_PATH}`);
  const refused: Response[] = [];
  const calls = Array.from({length: 50}, async () => {
    const answer = await ask();
    if (answer.status !== 200) refused.push(answer);
    return answer.status;
  });
  await until(
    'ten to be refused',
    () => Promise.resolve(refused.length),
    (count) => count === 10,
    5_000,
  );
  expect(new Set(refused.map(({status, headers}) => `${status} ${headers.get('retry-after')}`))).toEqual(
    new Set(['429 1']),
  );
  slow.resolve(undefined);
  expect((await Promise.all(calls)).filter((status) => status === 200)).toHaveLength(40);
  expect((await ask()).status).toBe(200);
});

test.each(['http://a:99999', 'http://1.2.3.4.5.6.256', 'http://[', ''])(
  'the query of a target at "%s" is what stands behind its question mark',
  async (host) => {
    expect(await answerTo(`GET ${host}${PATH}?a=b HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 [^]*"a":"b"/);
  },
);

test.each([
  ['eu.admin.example:8443', true],
  ['localhost:8443', false],
  ['eu.localhost', false],
])('whether browsers are to take nothing but TLS from %s', async (host, isStrict) => {
  const answer = await answerTo(`GET /nope HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Proto: https\r\n\r\n`);
  expect(/^strict-transport-security: max-age=/im.test(answer)).toBe(isStrict);
});

test('a body that is no JSON, or no UTF-8, is refused', async () => {
  expect((await post('{')).status).toBe(400);
  expect((await post(new Uint8Array([0x22, 0xe9, 0x22]))).status).toBe(400);
});

test('a body may begin with a byte order mark', async () => {
  expect(await (await post('\ufeff{"a":"é"}')).json()).toEqual({a: 'é'});
});

test('an answer that is worth it is compressed for who takes that, and for nobody else', async () => {
  const body = JSON.stringify(Array.from({length: 500}, (_, index) => `row ${index}`));
  const sent = async (headers: Record<string, string>) => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${PATH}`, {
      method: 'POST',
      headers: {'content-type': 'application/json', ...headers},
      body,
    });
    expect(await answer.text()).toBe(body);
    expect(answer.headers.get('vary')).toBe('Accept-Encoding');
    return [answer.headers.get('content-encoding'), Number(answer.headers.get('content-length'))] as const;
  };
  const [coding, length] = await sent({'accept-encoding': 'br, gzip'});
  expect(coding).toBe('gzip');
  expect(length).toBeLessThan(body.length / 2);
  expect(await sent({'accept-encoding': 'gzip;q=0'})).toEqual([null, body.length]);
  expect(await sent({'accept-encoding': 'identity'})).toEqual([null, body.length]);
  expect((await post('{"a":1}')).headers.get('content-encoding')).toBeNull();
});

test('an answer that never changes is written and packed once for all', async () => {
  timesWritten = 0;
  let timesPacked = 0;
  const packings = createHook({
    init(_id, type) {
      if (type === 'ZLIB') timesPacked++;
    },
  }).enable();
  try {
    const ask = (header: string): Promise<string> =>
      answerTo(`GET ${CONSTANT_PATH} HTTP/1.1\r\nHost: a\r\n${header}\r\nConnection: close\r\n\r\n`);
    const [packed, again, plain] = [
      await ask('Accept-Encoding: gzip'),
      await ask('Accept-Encoding: gzip'),
      await ask('Accept-Encoding: identity'),
    ];
    expect(packed).toMatch(/^HTTP\/1\.1 200 /);
    expect(packed).toMatch(/content-encoding: gzip/i);
    expect(again).toMatch(/content-encoding: gzip/i);
    const tag = /^etag: (\S+)/im.exec(plain)?.[1] ?? '';
    expect(await ask(`If-None-Match: ${tag}`)).toMatch(/^HTTP\/1\.1 304 /);
    expect({timesWritten, timesPacked}).toEqual({timesWritten: 1, timesPacked: 1});
  } finally {
    packings.disable();
  }
});

test.each(['/API/v1/echo', '/api/v1/Echo', '/api/v1/echo/', '/api/v1//echo', '//api/v1/echo'])(
  'an operation has one address, and %s is nothing',
  async (path) => {
    expect(await answerTo(`GET ${path}?a=b HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 404 /);
  },
);

describe('an answer that is made piece by piece', () => {
  const get = (method = 'GET') => fetch(`http://127.0.0.1:${server.port}${PIECES_PATH}`, {method});

  test('is an error where the first cannot be made, and is cut where a later one cannot', async () => {
    pieces = {made: 0, good: 0};
    expect((await get()).status).toBe(500);
    pieces = {made: 0, good: 3};
    const answer = await get();
    expect([answer.status, answer.headers.get('content-disposition')]).toEqual([200, 'attachment; filename="x.csv"']);
    await expect(answer.text()).rejects.toThrow();
  });

  test('is made no faster than it is read, and no further than somebody reads', async () => {
    pieces = {made: 0, good: 1000};
    const socket = connect(server.port, '127.0.0.1');
    socket.pause();
    socket.write(`GET ${PIECES_PATH} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until('some to be made', () => pieces.made > 1);
    let before = -1;
    await until('no more to be made', () => {
      const isStill = pieces.made === before;
      before = pieces.made;
      return isStill;
    });
    expect(before).toBeLessThan(900);
    socket.destroy();
    pieces = {made: 0, good: 3};
    expect((await get('HEAD')).status).toBe(200);
    expect(pieces.made).toBeLessThan(2);
  });
});

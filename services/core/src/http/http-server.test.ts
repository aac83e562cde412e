import {EventEmitter, once} from 'node:events';
import {Agent, request} from 'node:http';
import {connect, type Socket} from 'node:net';
import {setTimeout as delay} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, jest, test} from '@jest/globals';
import express from 'express';
import {type HttpServer, startHttpServer} from './http-server.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

/** More than the kernel takes for a peer that does not read. */
const LONG = Buffer.alloc(12 * 1024 * 1024);

const serve = async (answerMs: () => number, maxConnections = 1000, maxUnreadBytes = Infinity) => {
  const app = express();
  const received = new EventEmitter();
  app.all('/refused', (_request, response) => response.end('no'));
  app.all('/long', (_request, response) => {
    response.end(LONG);
    received.emit('request');
  });
  app.use((_request, response) => {
    setTimeout(() => response.end('done'), answerMs());
    received.emit('request');
  });
  const draining = new AbortController();
  const server = await startHttpServer({app, port: 0, maxConnections, maxUnreadBytes, draining: draining.signal});
  cleanups.push(() => server.stop(0));
  return {server, draining, received};
};

/** What a proxy does with a request: takes a connection that it has kept or a new one, and does not send it again. */
const forward = (agent: Agent, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request({agent, port, host: '127.0.0.1', method: 'POST', path: '/'}, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end('{"a":1}');
  });

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

const open = async (server: HttpServer): Promise<Socket> => {
  const socket = connect(server.port, '127.0.0.1');
  cleanups.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
};
const GET_LONG = 'GET /long HTTP/1.1\r\nHost: x\r\n\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n';
const REFUSED = POST.replace('/', '/refused');

const next = async (socket: Socket): Promise<string> => {
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString();
};

/** Reads the answer to {@link GET_LONG} until all of it came or its connection is cut, which a peer is only told when it reads. */
const longOf = async (socket: Socket): Promise<'whole' | 'cut'> => {
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LONG.length) socket.destroy();
  });
  await once(socket, 'close', {signal: AbortSignal.timeout(5_000)});
  return bytes > LONG.length ? 'whole' : 'cut';
};

test.each([
  ['http://[::1/refused', 'no'],
  ['http://a%zz/refused?a=b', 'no'],
  ['http://a:99999', 'done'],
  ['http://a?a=b', 'done'],
  ['HTTPS://a/refused', 'no'],
  ['/refused', 'no'],
  ['//u@[::1/v1/time#x', 'done'],
  ['*', 'done'],
])('the application is asked for the path of %s, whatever host it names', async (target, answer) => {
  const {server} = await serve(() => 0);
  const socket = await open(server);
  socket.write(`OPTIONS ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(await next(socket)).toMatch(new RegExp(`^HTTP/1\\.1 200 [^]*\r\n${answer}$`));
});

test('a server that is replaced under load answers every request that a proxy with kept connections sends', async () => {
  const [old, fresh] = await Promise.all([serve(() => Math.random() * 60), serve(() => Math.random() * 60)]);
  const agent = new Agent({keepAlive: true, maxFreeSockets: 100});
  cleanups.push(() => agent.destroy());
  const seen: Record<string, number> = {};
  // As endpoints are: the proxy learns some time after the stop began that it should send elsewhere.
  let target = old.server.port;
  const over = new AbortController();
  const client = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const outcome = await forward(agent, target).catch(reasonOf);
      seen[outcome] = (seen[outcome] ?? 0) + 1;
      await delay(Math.random() * 20);
    }
  };
  const clients = Array.from({length: 40}, client);
  await delay(200);
  old.draining.abort();
  await delay(100);
  const stopped = old.server.stop(20_000);
  await delay(1500);
  target = fresh.server.port;
  await stopped;
  await delay(100);
  over.abort();
  await Promise.all(clients);
  expect(Object.keys(seen)).toEqual(['200']);
  expect(seen['200']).toBeGreaterThan(100);
});

test('an answer that is under way when the drain begins asks its peer to leave, as do those that follow', async () => {
  const {server, draining, received} = await serve(() => 100);
  const socket = await open(server);
  socket.write(GET);
  await once(received, 'request');
  draining.abort();
  expect(await next(socket)).toMatch(/^HTTP\/1\.1 200[^]*\r\nConnection: close\r\n/);
  const another = await open(server);
  another.write(GET);
  expect(await next(another)).toMatch(/^HTTP\/1\.1 200[^]*\r\nConnection: close\r\n/);
});

test('a stop waits for what is under way and not for connections that carry nothing', async () => {
  let answerMs = 0;
  const {server, draining, received} = await serve(() => answerMs);
  const [used, unused, refused, busy] = await Promise.all([open(server), open(server), open(server), open(server)]);
  used.write(GET);
  await next(used);
  refused.write(REFUSED);
  await next(refused);
  refused.write('rest');
  answerMs = 800;
  busy.write(GET);
  await once(received, 'request');
  draining.abort();
  const began = performance.now();
  const [answer] = await Promise.all([
    next(busy),
    server.stop(10_000),
    ...[unused, used, refused].map((socket) => once(socket, 'close')),
  ]);
  expect(answer).toMatch(/^HTTP\/1\.1 200/);
  // A second of quiet, and far from the cut.
  expect(performance.now() - began).toBeLessThan(4000);
});

test('a stop cuts neither an answer that is still being read nor a request that has begun', async () => {
  const {server, draining, received} = await serve(() => 0);
  const [slow, begun, used] = await Promise.all([open(server), open(server), open(server)]);
  slow.write(GET_LONG);
  await once(received, 'request');
  for (const socket of [begun, used]) {
    socket.write(GET);
    await next(socket);
  }
  draining.abort();
  const stopped = server.stop(20_000);
  begun.write('GET / HT');
  await once(used, 'close');
  begun.write('TP/1.1\r\nHost: x\r\n\r\n');
  expect(await next(begun)).toMatch(/^HTTP\/1\.1 200/);
  expect(await longOf(slow)).toBe('whole');
  await stopped;
});

test('a peer that does not stop sending cannot keep the server from stopping', async () => {
  const {server, draining} = await serve(() => 5);
  const agent = new Agent({keepAlive: true});
  cleanups.push(() => agent.destroy());
  const over = new AbortController();
  const sending = (async () => {
    while (!over.signal.aborted) await forward(agent, server.port).catch(() => delay(1));
  })();
  draining.abort();
  const began = performance.now();
  await server.stop(1000);
  expect(performance.now() - began).toBeLessThan(5000);
  over.abort();
  await sending;
});

test('idle connections make room for new ones when there are many', async () => {
  const {server} = await serve(() => 0, 10);
  for (let n = 0; n < 9; n++) {
    const socket = await open(server);
    socket.write(GET);
    expect(await next(socket)).toMatch(/keep-alive/);
  }
  const newcomers = [await open(server), await open(server), await open(server)];
  for (const socket of newcomers) {
    socket.write(GET);
    expect(await next(socket)).toMatch(/^HTTP\/1\.1 200/);
  }
});

test('where idle connections make room, no answer is cut that is still being read, nor a request that has begun', async () => {
  const {server, received} = await serve(() => 0, 10);
  const idle: Socket[] = [];
  for (let n = 0; n < 7; n++) {
    const socket = await open(server);
    socket.write(GET);
    await next(socket);
    idle.push(socket);
  }
  const [begun, used] = idle as [Socket, Socket];
  begun.write('GET / HT');
  // Whatever is answered after it was written was read after it, or in the same turn.
  for (let n = 0; n < 2; n++) {
    used.write(GET);
    await next(used);
  }
  const slow = await open(server);
  slow.write(GET_LONG);
  await once(received, 'request');
  await Promise.all([open(server), open(server), once(used, 'close')]);
  begun.write('TP/1.1\r\nHost: x\r\n\r\n');
  expect(await next(begun)).toMatch(/^HTTP\/1\.1 200/);
  expect(await longOf(slow)).toBe('whole');
});

test.each([
  ['say nothing', ''],
  ['never finish what they ask', GET.slice(0, -4)],
  ['never send the body that they announce', POST],
  ['never read their answer', GET_LONG],
  ['never read their answer and begin another request', `${GET_LONG}GET / HT`],
  ['read their answer and never finish another request', `${GET}GET / HT`],
])('connections that %s make room for whoever sends something', async (_what, text) => {
  const {server} = await serve(() => 0, 20);
  const held = await Promise.all(Array.from({length: 20}, () => open(server)));
  for (const socket of held) socket.write(text);
  const agent = new Agent({keepAlive: false});
  const deadline = performance.now() + 5_000;
  const seen: (number | string)[] = [];
  while (seen.at(-1) !== 200 && performance.now() < deadline) {
    seen.push(await forward(agent, server.port).catch(reasonOf));
    await delay(50);
  }
  expect([...new Set(seen)]).toContain(200);
  // And there is room from then on, whatever is opened and held.
  for (let n = 0; n < 5; n++) {
    await open(server);
    expect(await forward(agent, server.port)).toBe(200);
  }
});

test.each([
  ['before the last is answered', GET, ''],
  ['before the last is answered, of those that expect something', GET, 'Expect: something\r\n'],
  ['before the last is read', GET_LONG, ''],
])('a connection that brings more requests %s is cut and has one of them served', async (_what, get, header) => {
  const {server, received} = await serve(() => 60_000);
  let count = 0;
  received.on('request', () => (count += 1));
  const socket = await open(server);
  socket.write(get.replace('\r\n\r\n', `\r\n${header}\r\n`).repeat(500));
  await once(socket.resume(), 'close', {signal: AbortSignal.timeout(5_000)});
  expect(count).toBe(1);
});

test('answers that nobody reads take no more than their bound: who waits longest to read is cut', async () => {
  const {server, received} = await serve(() => 0, 1000, 3.5 * LONG.length);
  const slow: Socket[] = [];
  for (let n = 0; n < 8; n++) {
    const socket = await open(server);
    const asked = once(received, 'request');
    socket.write(GET_LONG);
    await asked;
    slow.push(socket);
  }
  expect(await Promise.all(slow.map(longOf))).toEqual(['cut', 'cut', 'cut', 'cut', 'cut', 'whole', 'whole', 'whole']);
});

test('an answer that is not read in its time is cut, and one that may take longer is not', async () => {
  jest.useFakeTimers({doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate']});
  try {
    const {server, received} = await serve(() => 0);
    const slow = [await open(server), await open(server)] as const;
    const [late, inTime] = slow;
    for (const [socket, restMs] of [
      [late, (LONG.length / 1024) * 1000 + 12_000],
      [inTime, 0],
    ] as const) {
      const asked = once(received, 'request');
      socket.write(GET_LONG);
      await asked;
      // As many seconds as it has KiB, and ten.
      jest.advanceTimersByTime(restMs);
    }
    expect(await Promise.all(slow.map(longOf))).toEqual(['cut', 'whole']);
  } finally {
    jest.useRealTimers();
  }
});

describe('a request that is answered before it came', () => {
  const answered = async (): Promise<Socket> => {
    const {server} = await serve(() => 0);
    const socket = await open(server);
    socket.write(REFUSED);
    expect(await next(socket)).toMatch(/^HTTP\/1\.1 200/);
    return socket;
  };
  beforeEach(() => {
    jest.useFakeTimers({doNotFake: ['performance', 'nextTick', 'queueMicrotask', 'setImmediate']});
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('may still come, and its connection is used again', async () => {
    const socket = await answered();
    jest.advanceTimersByTime(9_000);
    socket.write(`rest${REFUSED}rest`);
    expect(await next(socket)).toMatch(/^HTTP\/1\.1 200/);
    jest.advanceTimersByTime(20_000);
    socket.write(REFUSED);
    expect(await next(socket)).toMatch(/^HTTP\/1\.1 200/);
  });

  test('loses its connection when the rest does not come', async () => {
    const socket = await answered();
    jest.advanceTimersByTime(10_000);
    await once(socket, 'close', {signal: AbortSignal.timeout(5_000)});
  });
});

import {execFileSync} from 'node:child_process';
import dns from 'node:dns';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createServer as createTlsServer} from 'node:https';
import {connect, createServer, type AddressInfo, type LookupFunction, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {getCACertificates, setDefaultCACertificates} from 'node:tls';
import {Worker} from 'node:worker_threads';
import {afterAll, afterEach, beforeAll, describe, expect, jest, test} from '@jest/globals';
import type {HttpReply} from './answer.ts';
import {createTransport} from './transport.ts';

const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A server that does this with each connection. */
const serve = async (talk: (socket: Socket) => void): Promise<string> => {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    talk(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  // A server that listens on TCP has an AddressInfo.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n';

test.each<[string, (socket: Socket) => void]>([
  ['says nothing', () => undefined],
  ['begins and goes silent', (socket) => void socket.write(HEAD)],
  [
    'sends its answer byte by byte, for ever',
    (socket) => {
      socket.write(HEAD);
      const drip = setInterval(() => socket.write(' '), 20);
      socket.on('close', () => clearInterval(drip));
    },
  ],
  [
    'sends its headers byte by byte, for ever',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nX-Long: ');
      const drip = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(drip));
    },
  ],
  [
    'says that it is at work, for ever',
    (socket) => {
      const work = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 20);
      socket.on('close', () => clearInterval(work));
    },
  ],
  ['closes in the middle', (socket) => socket.end(HEAD)],
  ['speaks something else', (socket) => void socket.end('220 mail.example ESMTP\r\n')],
])('a server that %s is a failed call, within its time', async (_what, talk) => {
  const baseUrl = await serve(talk);
  const {transport, close} = createTransport({
    connections: 1,
    host: undefined,
    timeoutMs: 300,
    caFile: undefined,
    insecure: false,
  });
  const beganMs = performance.now();
  const reply = await transport({method: 'POST', baseUrl, path: '/v1/sync', headers: {}, body: Buffer.from('{}')});
  expect(reply.kind).toBe('failed');
  // undici looks at its own time-outs once a second.
  expect(performance.now() - beganMs).toBeLessThan(3000);
  for (const socket of sockets.splice(0)) socket.destroy();
  await close();
});

test('a body has the time that it needs on a slow line', async () => {
  const baseUrl = await serve((socket) => {
    const answer = setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'), 3_000);
    socket.on('close', () => clearTimeout(answer));
  });
  const options = {connections: 1, host: undefined, timeoutMs: 300, caFile: undefined, insecure: false};
  const [patient, hasty] = [createTransport(options), createTransport(options)];
  const call = {method: 'POST', baseUrl, path: '/v1/sync', headers: {}} as const;
  const [long, short] = await Promise.all([
    patient.transport({...call, body: Buffer.alloc(16 * 1024)}),
    hasty.transport({...call, body: Buffer.from('{}')}),
  ]);
  expect([long, short]).toMatchObject([{kind: 'reply', status: 200}, {kind: 'failed'}]);
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all([patient.close(), hasty.close()]);
});

test('leaves no socket open for as long as the other side offers', async () => {
  const isClosed = Promise.withResolvers<undefined>();
  const baseUrl = await serve((socket) => {
    socket.on('close', () => isClosed.resolve(undefined));
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3660\r\nContent-Length: 2\r\n\r\n{}'));
  });
  const options = {connections: 1, host: undefined, timeoutMs: 300, caFile: undefined, insecure: false};
  const {transport, close} = createTransport(options, 100);
  expect(await transport({method: 'GET', baseUrl, path: '/', headers: {}, body: undefined})).toMatchObject({
    kind: 'reply',
  });
  await isClosed.promise;
  await close();
});

test('offers no HTTP/2, where a call that is given up in the middle of its body may never end', async () => {
  const hello = Promise.withResolvers<Buffer>();
  const baseUrl = await serve(
    (socket) => void socket.once('data', (bytes) => (hello.resolve(bytes), socket.destroy())),
  );
  const {transport, close} = createTransport({
    connections: 1,
    host: undefined,
    timeoutMs: 300,
    caFile: undefined,
    insecure: true,
  });
  const url = baseUrl.replace('http:', 'https:');
  await transport({method: 'POST', baseUrl: url, path: '/v1/sync', headers: {}, body: Buffer.from('{}')});
  // The TLS extension ALPN (RFC 7301) is not encrypted.
  const offers = (await hello.promise).toString('latin1');
  expect(offers).toContain('\x08http/1.1');
  expect(offers).not.toContain('\x02h2');
  await close();
});

describe('where a name has several addresses', () => {
  const workers: Worker[] = [];
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  });

  /** A listener whose queue is full, so that Linux drops each SYN and takes the one after it a second later, unless it sleeps longer. @returns its port */
  const serveSlowly = async (address: string, sleepMs: number, port = 0): Promise<number> => {
    const program = `
      const {createServer} = require('node:http');
      const {parentPort} = require('node:worker_threads');
      const server = createServer((request, response) => response.end('{}'));
      server.listen({host: '${address}', port: ${port}, backlog: 1}, () => parentPort.postMessage(server.address().port));
      parentPort.once('message', () => {
        parentPort.postMessage('asleep');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${sleepMs});
      });
    `;
    const worker = new Worker(program, {eval: true});
    workers.push(worker);
    const [listening] = (await once(worker, 'message')) as [number];
    worker.postMessage('sleep');
    await once(worker, 'message');
    // Linux keeps one more than the backlog for a listener that takes none.
    for (let count = 0; count < 2; count++) {
      const socket = connect(listening, address).on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
    }
    return listening;
  };

  const resolveTo = (...addresses: readonly string[]): void => {
    const lookup: LookupFunction = (_host, _options, done) =>
      done(
        null,
        addresses.map((address) => ({address, family: 4})),
      );
    // Node asks for this one where it is not given another.
    jest.spyOn(dns, 'lookup').mockImplementation(lookup as typeof dns.lookup);
  };

  const ask = async (port: number, timeoutMs: number): Promise<HttpReply> => {
    const options = {connections: 1, host: undefined, timeoutMs, caFile: undefined, insecure: false};
    const {transport, close} = createTransport(options);
    const call = {method: 'GET', path: '/', headers: {}, body: undefined} as const;
    const reply = await transport({...call, baseUrl: `http://region.example:${port}`});
    await close();
    return reply;
  };

  const [SLOW_MS, FOR_EVER_MS] = [500, 60_000];

  test('connects over a slow line to the one that lives, whether it is the first or the second', async () => {
    const port = await serveSlowly('127.0.0.2', FOR_EVER_MS);
    await serveSlowly('127.0.0.1', SLOW_MS, port);
    resolveTo('127.0.0.1', '127.0.0.2');
    expect(await ask(port, 15_000)).toMatchObject({kind: 'reply', status: 200});
    resolveTo('127.0.0.2', '127.0.0.1');
    expect(await ask(port, 15_000)).toMatchObject({kind: 'reply', status: 200});
  });

  test('gives up in its time where none of them lives', async () => {
    const port = await serveSlowly('127.0.0.1', FOR_EVER_MS);
    const others = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
    for (const address of others) await serveSlowly(address, FOR_EVER_MS, port);
    resolveTo('127.0.0.1', ...others);
    const beganMs = performance.now();
    expect(await ask(port, 2_000)).toMatchObject({kind: 'failed'});
    // undici looks at its own time-outs once a second.
    expect(performance.now() - beganMs).toBeLessThan(4_000);
  });
});

/** A certificate that speaks for itself, of 127.0.0.1. */
const selfSigned = (folder: string, name: string): {cert: string; key: string; path: string} => {
  const [path, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const whose = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', ...how, ...whose, '-keyout', key, '-out', path], {stdio: 'ignore'});
  return {cert: readFileSync(path, 'utf8'), key: readFileSync(key, 'utf8'), path};
};

/** Answers each call over TLS. */
const serveTls = async (identity: {cert: string; key: string}, afterMs = 0): Promise<string> => {
  const inner = createTlsServer(identity, (_request, response) => response.end('{}'));
  const baseUrl = await serve((socket) => {
    socket.pause();
    const begin = setTimeout(() => inner.emit('connection', socket), afterMs);
    socket.on('close', () => clearTimeout(begin));
  });
  return baseUrl.replace('http:', 'https:');
};

describe('over TLS', () => {
  let folder: string;
  const before = getCACertificates();
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pisync-tls-'));
  });
  afterAll(() => {
    setDefaultCACertificates(before);
    rmSync(folder, {recursive: true});
  });
  const ask = async (baseUrl: string, caFile: string): Promise<HttpReply> => {
    const {transport, close} = createTransport({...TLS, caFile});
    try {
      return await transport({method: 'GET', baseUrl, path: '/', headers: {}, body: undefined});
    } finally {
      await close();
    }
  };
  const TLS = {connections: 1, host: undefined, timeoutMs: 20_000, insecure: false};

  test('trusts another authority besides those of the system', async () => {
    const [known, other, stranger] = ['known', 'other', 'stranger'].map((name) => selfSigned(folder, name));
    if (known === undefined || other === undefined || stranger === undefined) throw new Error('three were made');
    setDefaultCACertificates([known.cert]);
    const urls = await Promise.all([known, other, stranger].map((identity) => serveTls(identity)));
    const replies = await Promise.all(urls.map((url) => ask(url, other.path)));
    expect(replies.map(({kind}) => kind)).toEqual(['reply', 'reply', 'failed']);
  });

  test('gives a handshake on a slow line as long as an answer', async () => {
    const slow = selfSigned(folder, 'slow');
    expect(await ask(await serveTls(slow, 13_000), slow.path)).toMatchObject({kind: 'reply', status: 200});
  }, 30_000);
});

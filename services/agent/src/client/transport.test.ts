import {once} from 'node:events';
import {createServer, type AddressInfo, type Server, type Socket} from 'node:net';
import {afterEach, expect, test} from '@jest/globals';
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

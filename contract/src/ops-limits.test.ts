import {once} from 'node:events';
import {createServer, type Server} from 'node:http';
import {type AddressInfo, connect, type Socket} from 'node:net';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {limitOpsConnections, OPS_SERVER_OPTIONS} from './ops-limits.ts';

let server: Server;
const sockets: Socket[] = [];
beforeEach(async () => {
  server = createServer(OPS_SERVER_OPTIONS, (_request, response) => response.end('ok'));
  limitOpsConnections(server);
  server.listen(0);
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.closeAllConnections();
  server.close();
});

// A server that listens on TCP has an AddressInfo.
const port = (): number => (server.address() as AddressInfo).port;

const open = (): Socket => {
  const socket = connect(port(), '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
};

const GET = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';

test.each<[string, string]>([
  ['say nothing', ''],
  ['never finish what they ask', GET.slice(0, -4)],
  ['ask and stay', GET],
  ['send more than they said', 'POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx'],
])('connections that %s keep nobody out', async (_what, text) => {
  for (let round = 0; round < 3; round++) {
    const opened = Array.from({length: 64}, open);
    await Promise.all(opened.map((socket) => once(socket, 'connect')));
    for (const socket of opened) socket.write(text);
    const answer = await fetch(`http://127.0.0.1:${port()}/healthz`, {signal: AbortSignal.timeout(3_000)});
    expect(await answer.text()).toBe('ok');
  }
});

test('a connection carries one request', async () => {
  const answer = await fetch(`http://127.0.0.1:${port()}/healthz`);
  expect(answer.headers.get('connection')).toBe('close');
});

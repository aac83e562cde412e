import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {once} from 'node:events';
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net';
import {ApiClient} from './api-client.ts';
import {systemClock} from './clock.ts';
import {forever} from './testing/fixtures.ts';

let server: Server;

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.close();
});

/** What the first bytes of the next connection offer to speak: the TLS extension ALPN (RFC 7301) is not encrypted. */
const offered = async (): Promise<readonly string[]> => {
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  socket.on('error', () => undefined).destroy();
  return ['h2', 'http/1.1'].filter((name) => hello.includes(`${String.fromCharCode(name.length)}${name}`, 'latin1'));
};

test('what has a body is not sent over HTTP/2, where giving it up may never end', async () => {
  const {port} = server.address() as AddressInfo;
  const credentials = () => Promise.resolve({server: `https://127.0.0.1:${port}`, tls: {}, headers: {}});
  for (const isUrgent of [false, true]) {
    const client = new ApiClient({credentials, clock: systemClock, userAgent: 'test', isUrgent});
    const [request] = await Promise.allSettled([offered(), client.send({method: 'GET', path: '/', signal: forever})]);
    expect(request).toMatchObject({value: ['http/1.1']});
    const [watch] = await Promise.allSettled([offered(), client.stream({path: '/', signal: forever})]);
    expect(watch).toMatchObject({value: ['h2', 'http/1.1']});
    await client.close();
  }
});

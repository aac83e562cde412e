import {once} from 'node:events';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer as createHttpServer, type IncomingMessage} from 'node:http';
import {type AddressInfo, createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {rootCertificates} from 'node:tls';
import {expect, test} from '@jest/globals';
import {createFactsPublisher} from './facts-publisher.ts';

test('offers no HTTP/2, where a write that is given up before its body was sent may never end', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dir = await mkdtemp(join(tmpdir(), 'pisync-account-'));
  await writeFile(join(dir, 'token'), 'secret-token\n');
  await writeFile(join(dir, 'ca.crt'), rootCertificates[0] ?? '');
  const publisher = await createFactsPublisher({
    // A listening TCP server has an AddressInfo.
    apiServer: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    serviceAccountDir: dir,
    namespace: 'fleet',
    configMap: 'eu-facts',
    now: () => 0,
  });
  const hello = async (): Promise<string> => {
    const [socket] = (await once(server, 'connection')) as [Socket];
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    socket.on('error', () => undefined).destroy();
    // The TLS extension ALPN (RFC 7301) is not encrypted.
    return bytes.toString('latin1');
  };
  try {
    const [offers] = await Promise.allSettled([hello(), publisher.publish('facts.json', 'first')]);
    expect(offers).toMatchObject({value: expect.stringContaining('\x08http/1.1')});
    expect(offers).not.toMatchObject({value: expect.stringContaining('\x02h2')});
  } finally {
    await publisher.close();
    server.close();
    await rm(dir, {recursive: true});
  }
});

test('a key is applied to the ConfigMap when it changes, and once a minute in case somebody else changed it', async () => {
  const requests: {readonly line: string; readonly authorization: string | undefined; readonly body: string}[] = [];
  const server = createHttpServer((request: IncomingMessage, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      requests.push({line: `${request.method} ${request.url}`, authorization: request.headers.authorization, body});
      response.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dir = await mkdtemp(join(tmpdir(), 'pisync-account-'));
  await writeFile(join(dir, 'token'), 'secret-token\n');
  // A listening TCP server has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  let nowMs = 0;
  const publisher = await createFactsPublisher({
    apiServer: `http://127.0.0.1:${port}`,
    serviceAccountDir: dir,
    namespace: 'fleet',
    configMap: 'eu-facts',
    now: () => nowMs,
  });
  try {
    await publisher.publish('facts.json', 'first');
    await publisher.publish('facts.json', 'first');
    await publisher.publish('facts.json', 'second');
    await publisher.publish('slot-map.json', 'map');
    nowMs = 59_999;
    await publisher.publish('facts.json', 'second');
    expect(requests).toHaveLength(3);
    nowMs = 60_000;
    await publisher.publish('facts.json', 'second');
    const path = 'PATCH /api/v1/namespaces/fleet/configmaps/eu-facts?force=true&fieldManager=';
    expect(requests.map(({line}) => line)).toEqual([
      `${path}pisync-keeper-facts`,
      `${path}pisync-keeper-facts`,
      `${path}pisync-keeper-slot-map`,
      `${path}pisync-keeper-facts`,
    ]);
    expect(requests[0]?.authorization).toBe('Bearer secret-token');
    expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({kind: 'ConfigMap', data: {'facts.json': 'first'}});
    expect(requests[3]?.body).toBe(requests[1]?.body);
  } finally {
    await publisher.close();
    server.closeAllConnections();
    server.close();
    await rm(dir, {recursive: true});
  }
});

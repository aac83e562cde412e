import {once} from 'node:events';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
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

import {createServer, type RequestListener} from 'node:http';
import {type AddressInfo} from 'node:net';
import {expect, test} from '@jest/globals';
import {connectHttp, type HttpConnection} from './http-connection.ts';

const withServer = async (
  listener: RequestListener,
  work: (connection: HttpConnection) => Promise<void>,
): Promise<void> => {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  const connection = await connectHttp(new URL(`http://127.0.0.1:${port}`));
  try {
    await work(connection);
  } finally {
    connection.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};

test('sends requests one after the other over one connection and reads their answers', async () => {
  const ports = new Set<number | undefined>();
  const echo: RequestListener = (request, response) => {
    ports.add(request.socket.remotePort);
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      response.statusCode = 503;
      response.end(`${request.url} ${request.headers.authorization} ${body}`);
    });
  };
  await withServer(echo, async (connection) => {
    for (const body of ['first', 'grüße']) {
      const answer = await connection.post('/v1/sync', 'Authorization: me\r\n', body);
      expect(answer.status).toBe(503);
      expect(Buffer.from(answer.body, 'latin1').toString()).toBe(`/v1/sync me ${body}`);
    }
  });
  expect(ports.size).toBe(1);
});

test('waits for an answer that comes in pieces', async () => {
  const slow: RequestListener = (_request, response) => {
    response.writeHead(200, {'Content-Length': 8});
    response.write('half');
    setImmediate(() => response.end('half'));
  };
  await withServer(slow, async (connection) => {
    expect(await connection.post('/', '', '')).toEqual({status: 200, body: 'halfhalf'});
  });
});

test('fails when the connection ends before the answer', async () => {
  const rude: RequestListener = (request) => void request.resume().on('end', () => request.socket.destroy());
  await withServer(rude, async (connection) => {
    await expect(connection.post('/', '', '')).rejects.toThrow('the connection ended before the answer');
  });
});

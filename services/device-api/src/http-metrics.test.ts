import {once} from 'node:events';
import {connect, type AddressInfo} from 'node:net';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import express from 'express';
import {Registry} from 'prom-client';
import {httpMetrics} from './http-metrics.ts';

const registry = new Registry();
const arrived: unknown[] = [];
const app = express();
app.use(httpMetrics(registry, ['/slow', '/fast'], () => 0));
app.get('/fast', (_request, response) => void response.send('done'));
app.get('/slow', () => void arrived.push('a call that nobody answers'));

let server: ReturnType<typeof app.listen>;
let port: number;
beforeAll(async () => {
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an AddressInfo.
  ({port} = server.address() as AddressInfo);
});
afterAll(() => {
  server.close();
});

const counted = async (): Promise<Readonly<Record<string, number>>> => {
  const found = await registry.getSingleMetric('pisync_http_requests_total')?.get();
  return Object.fromEntries(
    (found?.values ?? []).map(({labels, value}) => [`${labels.route ?? ''} ${labels.status ?? ''}`, value]),
  );
};

test('a call whose caller is gone before the answer counts, and one that was answered counts once', async () => {
  await (await fetch(`http://127.0.0.1:${port}/fast`)).text();
  const caller = connect(port, '127.0.0.1');
  caller.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n');
  await until('the call to arrive', () => arrived.length === 1);
  caller.destroy();
  const seen = await until('the call to count', counted, (counts) => Object.keys(counts).length === 2);
  expect(seen).toEqual({'/fast 200': 1, '/slow aborted': 1});
});

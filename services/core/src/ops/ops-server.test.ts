import {once} from 'node:events';
import {connect} from 'node:net';
import {expect, test} from '@jest/globals';
import {Registry} from 'prom-client';
import {startOpsServer} from './ops-server.ts';

test('answers a probe whatever others do with their connections', async () => {
  const readiness = {add: () => undefined, look: () => Promise.resolve({ready: true, checks: {}})};
  const server = await startOpsServer({port: 0, readiness, registry: new Registry(), lagMs: () => 0});
  const held = Array.from({length: 64}, () => connect(server.port, '127.0.0.1').on('error', () => undefined));
  try {
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz`, {signal: AbortSignal.timeout(3_000)});
    expect([response.status, response.headers.get('connection')]).toEqual([200, 'close']);
  } finally {
    for (const socket of held) socket.destroy();
    await server.stop();
  }
});

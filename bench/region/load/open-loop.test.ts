import {createServer, type RequestListener} from 'node:http';
import {type AddressInfo} from 'node:net';
import {setTimeout as delay} from 'node:timers/promises';
import {expect, test} from '@jest/globals';
import {Connections} from './connections.ts';
import {type Calls, type LoopResult, runOpenLoop} from './open-loop.ts';

const run = async (
  listener: RequestListener,
  calls: Pick<Calls, 'count' | 'dueMs'>,
  connections = 10,
): Promise<LoopResult & {readonly accepted: readonly number[]}> => {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  const pool = new Connections(new URL(`http://127.0.0.1:${port}`), 'region', connections);
  const accepted: number[] = [];
  try {
    const result = await runOpenLoop(
      {
        ...calls,
        send: (n, connection) => connection.post('/', '', String(n)),
        accepted: (n) => accepted.push(n),
      },
      {connections: pool, nowMs: () => performance.now(), sleep: (ms) => delay(ms), random: () => 0},
    );
    return {...result, accepted};
  } finally {
    pool.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};

test('a slow answer delays nobody, and its time counts from when it was due', async () => {
  const waiting: (() => void)[] = [];
  let seen = 0;
  const result = await run(
    (request, response) => {
      const answer = (): void => void response.end('ok');
      // The first is answered when the others were.
      if (waiting.length === 0) waiting.push(answer);
      else answer();
      request.resume();
      if (++seen === 5) waiting[0]?.();
    },
    {count: 5, dueMs: (n) => n * 10},
  );
  expect(result).toMatchObject({done: 5, failed: 0, retries: 0, troubles: {}});
  expect(result.accepted.at(-1)).toBe(0);
  expect(result.accept.maxMs).toBeGreaterThanOrEqual(39);
});

test('whoever waits for a connection waits since it was due', async () => {
  const result = await run(
    (_request, response) => void setTimeout(() => response.end('ok'), 20),
    {count: 4, dueMs: () => 0},
    1,
  );
  expect(result.done).toBe(4);
  expect(result.accept.maxMs).toBeGreaterThanOrEqual(75);
});

test('what is turned away or cut off is tried again and told', async () => {
  let calls = 0;
  const result = await run(
    (_request, response) => {
      calls += 1;
      if (calls === 1) response.destroy();
      else if (calls === 2) response.writeHead(503, {'Content-Length': 0}).end();
      else response.end('ok');
    },
    {count: 1, dueMs: () => 0},
  );
  expect(result).toMatchObject({done: 1, failed: 0, retries: 2});
  expect(Object.keys(result.troubles)).toContain('HTTP 503');
  expect(result.timeline[0]).toMatchObject({second: 0, due: 1});
});

test('a connection that the other side has closed meanwhile is replaced, not tried', async () => {
  const result = await run(
    (request, response) => {
      request.resume();
      response.end('ok', () => request.socket.end());
    },
    {count: 2, dueMs: (n) => n * 60},
  );
  expect(result).toMatchObject({done: 2, retries: 0, troubles: {}});
});

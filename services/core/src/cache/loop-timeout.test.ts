import {once} from 'node:events';
import {connect, createServer} from 'node:net';
import {afterEach, expect, test} from '@jest/globals';
import {systemTimers as timers} from '../lifecycle/timers.ts';
import {withLoopTimeout} from './loop-timeout.ts';

const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const now = (): number => performance.now();

/** Answers what it is sent, in this process: while the loop is held up, question and answer wait in the kernel. */
const openEcho = async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  const client = connect(address.port, '127.0.0.1');
  await once(client, 'connect');
  cleanups.push(
    () => client.destroy().unref(),
    () => server.close(),
  );
  return async (): Promise<string> => {
    client.write('ping');
    // Sockets emit buffers as long as nobody sets an encoding.
    const [answer] = (await once(client, 'data')) as [Buffer];
    return answer.toString();
  };
};

const holdUp = (ms: number): void => {
  const end = now() + ms;
  while (now() < end);
};

test('an answer that waits in a loop which was held up is no time-out', async () => {
  const ask = await openEcho();
  const answer = withLoopTimeout(ask(), {ms: 20, timers});
  holdUp(200);
  await expect(answer).resolves.toBe('ping');
});

test('no answer is a time-out, also while the loop is never on time', async () => {
  const never = new Promise<never>(() => undefined);
  const began = now();
  await expect(withLoopTimeout(never, {ms: 20, timers})).rejects.toMatchObject({code: 'unavailable'});
  expect(now() - began).toBeGreaterThan(19);
  const busy = setInterval(() => holdUp(50), 1);
  cleanups.push(() => clearInterval(busy));
  await expect(withLoopTimeout(never, {ms: 20, timers})).rejects.toMatchObject({code: 'unavailable'});
});

test('what fails by itself fails at once', async () => {
  await expect(withLoopTimeout(Promise.reject(new Error('refused')), {ms: 10_000, timers})).rejects.toThrow('refused');
});

import {once} from 'node:events';
import {type AddressInfo, createServer, type Socket} from 'node:net';
import {afterEach, expect, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {until} from '../testing/until.ts';
import {openCache} from './cache.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** The words of the commands in a chunk of Redis' protocol: `*2\r\n$3\r\nget\r\n$3\r\nany\r\n`. */
const commandsIn = (chunk: string): readonly (readonly string[])[] =>
  chunk
    .split(/^\*\d+\r\n/m)
    .filter((text) => text !== '')
    .map((text) => text.split('\r\n').filter((_, index) => index % 2 === 1));

interface ServerState {
  password: string;
  /** How many were taken. */
  subscriptions: number;
  /** What becomes of the next SUBSCRIBE; those after it are taken. */
  next?: 'refused' | 'cut';
}

/** As much of a Redis with a password as signing in and subscribing need. An answer of `undefined` ends the connection. */
const openGuardedServer = async (state: ServerState) => {
  const sockets = new Set<Socket>();
  const answer = (isKnown: boolean, [name = '', channel = '']: readonly string[]): string | undefined => {
    if (!isKnown) return '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
    switch (name.toLowerCase()) {
      case 'hello':
        return '%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n';
      case 'info':
        return '$9\r\nloading:0\r\n';
      case 'subscribe':
        if (state.next !== undefined) {
          const reply = state.next === 'refused' ? '-NOPERM no permissions to access a channel\r\n' : undefined;
          delete state.next;
          return reply;
        }
        state.subscriptions += 1;
        return `>3\r\n$9\r\nsubscribe\r\n$${channel.length}\r\n${channel}\r\n:1\r\n`;
      default:
        return '+OK\r\n';
    }
  };
  const server = createServer((socket) => {
    let isKnown = false;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      for (const command of commandsIn(chunk)) {
        // HELLO 3 AUTH default <password>
        if (command[0]?.toLowerCase() === 'hello') isKnown = command.at(-1) === state.password;
        const reply = answer(isKnown, command);
        if (reply === undefined) socket.destroy();
        else socket.write(reply);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    // A listening TCP server has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    cut,
    close() {
      cut();
      server.close();
    },
  };
};

const openAgainst = async (state: ServerState, password = (): string => state.password) => {
  const server = await openGuardedServer(state);
  const cache = await openCache({
    endpoint: {host: '127.0.0.1', port: server.port},
    password: () => Promise.resolve(password()),
    log: pino({level: 'silent'}),
    registry: new Registry(),
    now: () => performance.now(),
  });
  cleanups.push(
    () => cache.close(),
    () => server.close(),
  );
  cache.subscribe('news', () => undefined);
  return {server, cache};
};

test('after its password was replaced Redis is used again, also by those that listen', async () => {
  const state: ServerState = {password: 'first', subscriptions: 0};
  const {server, cache} = await openAgainst(state);
  const isAnswered = async (): Promise<boolean> => (await cache.use((redis) => redis.get('any'))) === 'OK';
  await until('an answer', isAnswered);
  await until('the subscription', () => state.subscriptions > 0);
  state.password = 'second';
  state.subscriptions = 0;
  server.cut();
  await until('an answer under the new password', isAnswered);
  await until('the subscription under the new password', () => state.subscriptions > 0);
});

test('why a use is not answered is told, and no more once one is', async () => {
  const state: ServerState = {password: 'first', subscriptions: 0};
  let known = 'first';
  const {server, cache} = await openAgainst(state, () => known);
  const ask = async (): Promise<string | undefined> => {
    await cache.use((redis) => redis.get('any'));
    return cache.trouble();
  };
  await until('an answer', ask, (trouble) => trouble === undefined);
  state.password = 'second';
  server.cut();
  const refused = 'WRONGPASS invalid username-password pair or user is disabled.';
  await until('the refusal', ask, (trouble) => trouble === refused);
  known = 'second';
  await until('an answer', ask, (trouble) => trouble === undefined);
});

test('a SUBSCRIBE that was refused is tried again', async () => {
  const state: ServerState = {password: 'any', subscriptions: 0, next: 'refused'};
  await openAgainst(state);
  await until('the subscription', () => state.subscriptions > 0, Boolean, 10_000);
  expect(state.next).toBeUndefined();
});

// A rejection that nobody handles fails a test, and ends a service.
test('a connection that ends while who listens subscribes anew is only replaced', async () => {
  const state: ServerState = {password: 'any', subscriptions: 0};
  const {server} = await openAgainst(state);
  await until('the subscription', () => state.subscriptions > 0);
  state.next = 'cut';
  server.cut();
  await until('the next SUBSCRIBE to be cut off', () => state.next === undefined);
  state.subscriptions = 0;
  await until('the subscription after that', () => state.subscriptions > 0);
});

import {once} from 'node:events';
import {type AddressInfo, createServer, type Socket} from 'node:net';
import {expect, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {until} from '../testing/until.ts';
import {openCache} from './cache.ts';

/** The words of the commands in a chunk of Redis' protocol: `*2\r\n$3\r\nget\r\n$3\r\nany\r\n`. */
const commandsIn = (chunk: string): readonly (readonly string[])[] =>
  chunk
    .split(/^\*\d+\r\n/m)
    .filter((text) => text !== '')
    .map((text) => text.split('\r\n').filter((_, index) => index % 2 === 1));

/** As much of a Redis with a password as signing in and subscribing need. */
const openGuardedServer = async (state: {password: string; subscriptions: number}) => {
  const sockets = new Set<Socket>();
  const answer = (isKnown: boolean, [name = '', channel = '']: readonly string[]): string => {
    if (!isKnown) return '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
    switch (name.toLowerCase()) {
      case 'hello':
        return '%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n';
      case 'info':
        return '$9\r\nloading:0\r\n';
      case 'subscribe':
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
        socket.write(answer(isKnown, command));
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

test('after its password was replaced Redis is used again, also by those that listen', async () => {
  const state = {password: 'first', subscriptions: 0};
  const server = await openGuardedServer(state);
  const cache = await openCache({
    endpoint: {host: '127.0.0.1', port: server.port},
    password: () => Promise.resolve(state.password),
    log: pino({level: 'silent'}),
    registry: new Registry(),
    now: () => performance.now(),
  });
  const isAnswered = async (): Promise<boolean> => (await cache.use((redis) => redis.get('any'))) === 'OK';
  try {
    cache.subscribe('news', () => undefined);
    await until('an answer', isAnswered);
    await until('the subscription', () => state.subscriptions === 1);
    state.password = 'second';
    server.cut();
    await until('an answer under the new password', isAnswered);
    await until('the subscription under the new password', () => state.subscriptions > 1);
  } finally {
    await cache.close();
    server.close();
  }
  expect(state.subscriptions).toBeGreaterThan(1);
});

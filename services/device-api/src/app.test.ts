import {once} from 'node:events';
import {type AddressInfo} from 'node:net';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import type {RequestHandler} from 'express';
import {pino} from 'pino';
import {createApp} from './app.ts';

const untouched: RequestHandler = (_request, _response, next) => next();
const app = createApp({
  log: pino({level: 'silent'}),
  metrics: untouched,
  enrol: untouched,
  sync: untouched,
  receipts: untouched,
  region: () => 'test',
  createRequestId: () => 'request',
  random: () => 0,
  wallClock: () => 0,
});
let server: ReturnType<typeof app.listen>;
let root: string;
beforeAll(async () => {
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an AddressInfo.
  root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

test('a load balancer that asks for the root is answered 200, with and without a body', async () => {
  const get = await fetch(root);
  expect({status: get.status, text: await get.text()}).toEqual({
    status: 200,
    text: 'PiSync: devices are served below /v1\n',
  });
  const head = await fetch(root, {method: 'HEAD'});
  expect({status: head.status, text: await head.text()}).toEqual({status: 200, text: ''});
});

test.each([
  ['POST', '/'],
  ['GET', '/v1'],
  ['GET', '/favicon.ico'],
  ['GET', '/V1/time'],
  ['GET', '/v1/time/'],
  ['GET', '/v1//time'],
  ['GET', '//v1/time'],
  ['POST', '/V1/Sync'],
])('%s %s is nothing', async (method, path) => {
  expect((await fetch(`${root}${path}`, {method})).status).toBe(404);
});

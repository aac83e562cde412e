import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {createServer, type IncomingMessage, type Server} from 'node:http';
import {ApiClient, type ApiClientOptions} from './api-client.ts';
import {systemClock} from './clock.ts';
import {messageOf} from './errors.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {eventually, forever} from './testing/fixtures.ts';

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly after?: Promise<unknown>;
}

let server: Server;
let url: string;
let answers: Answer[];
let requests: IncomingMessage[];
const clients: ApiClient[] = [];

beforeEach(async () => {
  answers = [];
  requests = [];
  server = createServer((request, response) => {
    requests.push(request);
    const {status, headers, body, after} = answers.shift() ?? {status: 200};
    void Promise.resolve(after).then(() => {
      response.writeHead(status, {'content-type': 'application/json', ...headers});
      response.end(JSON.stringify(body ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '';
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await new Promise((resolve) => server.close(resolve));
});

const clientWith = (options: Partial<ApiClientOptions> = {}): ApiClient => {
  const credentials = () => Promise.resolve({server: url, tls: {}, headers: {authorization: 'Bearer one'}});
  const client = new ApiClient({credentials, clock: systemClock, userAgent: 'test', ...options});
  clients.push(client);
  return client;
};

const get = {method: 'GET', path: '/api/v1/things', signal: forever} as const;
const write = {method: 'PATCH', path: '/api/v1/things/a', body: {a: 1}, signal: forever} as const;

test('asks again when an overloaded server says when', async () => {
  answers = [
    {status: 429, headers: {'retry-after': '0'}},
    {status: 503, headers: {'retry-after': '0'}},
  ];
  expect((await clientWith().send(get)).status).toBe(200);
  expect(requests).toHaveLength(3);
});

test('hands a long Retry-After to the caller instead of holding its turn', async () => {
  answers = [{status: 429, headers: {'retry-after': '120'}}];
  await expect(clientWith().send(get)).rejects.toMatchObject({status: 429, retryAfterMs: 120_000});
  expect(requests).toHaveLength(1);
});

test('an error carries reason, causes and message of the Status', async () => {
  const details = {causes: [{field: 'spec.a', message: 'field is immutable', reason: 'FieldValueInvalid'}]};
  answers = [{status: 422, body: {kind: 'Status', reason: 'Invalid', message: 'no', details}}];
  await expect(clientWith().send(write)).rejects.toMatchObject({
    status: 422,
    reason: 'Invalid',
    causes: [{field: 'spec.a', message: 'field is immutable'}],
    message: 'PATCH /api/v1/things/a: 422 no',
  });
});

test('a write without a lease is never sent; reads are', async () => {
  let leftMs = 0;
  const client = clientWith({mayWriteForMs: () => leftMs});
  await expect(client.send(write)).rejects.toThrow('the lease was not renewed in time');
  await client.send(get);
  expect(requests.map(({method}) => method)).toEqual(['GET']);
  leftMs = 5_000;
  await client.send(write);
  expect(requests).toHaveLength(2);
});

test('a write goes on for as long as the lease is renewed, and no longer', async () => {
  const clock = new FakeClock();
  let leftMs = 10_000;
  const client = clientWith({clock, mayWriteForMs: () => leftMs});
  const begin = async (): Promise<{answer: () => void; end: Promise<unknown>}> => {
    const {promise, resolve} = Promise.withResolvers<undefined>();
    answers = [{status: 200, after: promise}];
    const sent = requests.length;
    const end = client.send(write).then(({status}) => status, messageOf);
    await eventually(
      () => (requests.length > sent ? true : undefined),
      () => 'nothing was sent',
    );
    return {answer: () => resolve(undefined), end};
  };
  // As slow as a webhook that does not answer and is ignored then.
  const slow = await begin();
  await clock.advance(10_000);
  slow.answer();
  expect(await slow.end).toBe(200);

  const late = await begin();
  for (const _beat of [1, 2, 3]) await clock.advance(10_000);
  expect(await late.end).toBe('PATCH /api/v1/things/a: no answer in 30 s');
  late.answer();

  const lost = await begin();
  leftMs = 0;
  await clock.advance(10_000);
  expect(await lost.end).toBe('PATCH /api/v1/things/a was ended: the lease was not renewed in time');
  lost.answer();
});

test('reads credentials again after a minute, and at once when they are refused', async () => {
  const clock = new FakeClock();
  let reads = 0;
  const credentials = () => {
    reads++;
    return Promise.resolve({server: url, tls: {}, headers: {authorization: `Bearer ${reads}`}});
  };
  const client = clientWith({clock, credentials});
  await client.send(get);
  await client.send(get);
  expect(reads).toBe(1);
  clock.freeze(61_000);
  await client.send(get);
  expect(reads).toBe(2);
  answers = [{status: 401}];
  await client.send(get);
  expect(requests.map(({headers}) => headers.authorization)).toEqual([
    'Bearer 1',
    'Bearer 1',
    'Bearer 2',
    'Bearer 2',
    'Bearer 3',
  ]);
});

test('goes on with the credentials it has while new ones cannot be read, until they are refused', async () => {
  const clock = new FakeClock();
  let isReadable = true;
  const credentials = () =>
    isReadable
      ? Promise.resolve({server: url, tls: {}, headers: {authorization: 'Bearer one'}})
      : Promise.reject(new Error('the token is being replaced'));
  const client = clientWith({clock, credentials});
  await client.send(get);
  isReadable = false;
  clock.freeze(61_000);
  expect((await client.send(get)).status).toBe(200);
  answers = [{status: 401}];
  await expect(client.send(get)).rejects.toThrow('the token is being replaced');
});

test('requests share connections', async () => {
  const client = clientWith();
  for (let index = 0; index < 20; index++) await client.send(get);
  // The next request may begin before the last connection is back in the pool.
  expect(new Set(requests.map(({socket}) => socket)).size).toBeLessThanOrEqual(3);
});

test('who has a pace of its own is told at once that the server is busy', async () => {
  answers = [{status: 503, headers: {'retry-after': '5'}}];
  await expect(clientWith({isUrgent: true}).send(write)).rejects.toMatchObject({status: 503});
  expect(requests).toHaveLength(1);
});

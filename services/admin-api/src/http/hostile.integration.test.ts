/** What no browser sends: every request is answered, none with a 5xx, and the next one still works. */
import {once} from 'node:events';
import {connect} from 'node:net';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {seedApiToken, seedDevices} from '../testing/seed.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';

let region: TestShards;
let api: TestApi;
let token: string;

beforeAll(async () => {
  region = await createTestShards({shards: 1});
  await seedDevices(region.shards, 1);
  token = await seedApiToken(region.shards, 'admin');
  api = await startTestApi({shards: region.shards, cache: {use: () => Promise.resolve(undefined)}});
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
}, 30_000);

/** The status line of the answer to these bytes. */
const raw = async (text: string): Promise<string> => {
  const socket = connect(api.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
  socket.on('error', () => undefined);
  // Not ended: a server takes half a connection for a client that has gone.
  socket.write(text, 'latin1');
  await once(socket, 'close');
  return answer.split('\r\n')[0] ?? '';
};

const get = (target: string, headers: readonly string[]): Promise<string> =>
  raw(
    [
      `GET ${target} HTTP/1.1`,
      'Host: x',
      'Connection: close',
      `Authorization: Bearer ${token}`,
      ...headers,
      '',
      '',
    ].join('\r\n'),
  );

test.each<readonly [what: string, target: string, status: number, headers: readonly string[]]>([
  ['an absolute target whose host is none', 'http://[/api/v1/devices', 200, []],
  ['an absolute target whose port is none', 'http://a:99999/api/v1/openapi.json', 200, []],
  ['an absolute target whose address is none', 'http://1.2.3.4.5.6.256/api/v1/devices?limit=1', 200, []],
  ['an absolute target', 'http://elsewhere.example/api/v1/devices?limit=1', 200, []],
  ['a target that begins with two slashes', '//elsewhere.example/api/v1/devices', 404, []],
  ['a broken escape in the path', '/api/v1/devices/%', 400, []],
  ['an escape that is no UTF-8', '/api/v1/devices/%ff%fe', 400, []],
  ['a path that climbs', '/../../../../etc/passwd', 404, []],
  ['a path that climbs in escapes', '/%2e%2e%2f%2e%2e%2fetc%2fpasswd', 404, []],
  ['a NUL in the path', '/api/v1/devices/%00', 400, []],
  ['a broken escape in the query', '/api/v1/devices?filter=%', 400, []],
  ['a NUL in a filter', '/api/v1/devices?group=%00', 400, []],
  ['half a surrogate pair in a filter', '/api/v1/devices?filter=group%3D%3D%22%5Cud800%22', 400, []],
  ['half a surrogate pair as the key of a tag', '/api/v1/devices?filter=tags.%22%5Cud800%22%3D%3Dx', 400, []],
  ['a NUL as the key of a tag', '/api/v1/devices?filter=tags.%22%5Cu0000%22%3D%3Dx', 400, []],
  ['a NUL as it is, as the key of a tag', "/api/v1/devices?filter=tags.'%00'!=x;status==late", 400, []],
  ['a time in the year 0', '/api/v1/devices?filter=lastSync%3C0000-01-01', 400, []],
  ['a time whose offset leads to the year 0', '/api/v1/devices?filter=lastSeen%3E0001-01-01T00:00%2B14:00', 400, []],
  [
    'a time whose offset leads to the year 10000',
    '/api/v1/devices?filter=enrolledAt%3C9999-12-31T23:59-14:00',
    400,
    [],
  ],
  ['a filter of ten thousand conditions', `/api/v1/devices?filter=${'group==a;'.repeat(700)}`, 400, []],
  ['a prototype as a parameter', '/api/v1/devices?__proto__=1', 400, []],
  ['a prototype as a field', '/api/v1/devices?fields=constructor', 400, []],
  ['a limit beyond numbers', '/api/v1/devices?limit=1e999', 400, []],
  ['a cursor of nobody', '/api/v1/devices?cursor=e30.AAAA', 400, []],
  ['a shard that is none', '/api/v1/devices?filter=shard==99', 200, []],
  ['headers without end', '/api/v1/devices', 431, [`X-Long: ${'x'.repeat(40_000)}`]],
])('%s', async (_what, target, status, headers) => {
  const answer = await get(target, headers);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect((await api.call('GET', '/api/v1/devices', {token})).status).toBe(200);
});

test.each([
  ['a cookie that is no session', 'pisync_session_test=..; pisync_session_test=%%%', 401],
  ['a cookie that could be one', `pisync_session_test=${'a'.repeat(43)}`, 401],
  ['a cookie without end', `pisync_session_test=${'a'.repeat(20_000)}`, 401],
])('%s is no session', async (_what, cookie, status) => {
  const {status: seen} = await api.call('GET', '/api/v1/devices', {headers: {cookie}});
  expect(seen).toBe(status);
});

test('a body that is not what it says it is refused', async () => {
  const path = '/api/v1/session';
  for (const [body, headers, status] of [
    ['{"token":', {}, 400],
    ['"text"', {}, 400],
    ['{"token":"a\\u0000b"}', {}, 401],
    [`{"token":"${'x'.repeat(70_000)}"}`, {}, 413],
    ['{"token":"x"}', {'content-type': 'text/plain'}, 415],
    ['{"token":"x"}', {'content-encoding': 'snappy'}, 415],
    ['not gzip', {'content-encoding': 'gzip'}, 400],
  ] as const) {
    const {status: seen} = await api.call('POST', path, {body, headers});
    expect({body: body.slice(0, 40), seen}).toEqual({body: body.slice(0, 40), seen: status});
  }
});

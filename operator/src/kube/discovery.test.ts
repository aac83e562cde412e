import {expect, test} from '@jest/globals';
import {type ApiResponse} from './api-client.ts';
import {Discovery} from './discovery.ts';
import {ApiError} from './errors.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {forever} from './testing/fixtures.ts';

const ROUTE = {apiVersion: 'gateway.example.org/v1', kind: 'Route'};
const OTHER = {apiVersion: 'gateway.example.org/v1', kind: 'Other'};
const HOUR_MS = 3_600_000;

const setUp = () => {
  const clock = new FakeClock();
  const server = {status: 200};
  const send = (): Promise<ApiResponse> =>
    server.status === 200
      ? Promise.resolve({status: 200, body: {resources: [{kind: 'Route', name: 'routes', namespaced: true}]}})
      : Promise.reject(new ApiError(`answered ${server.status}`, {status: server.status}));
  return {clock, server, discovery: new Discovery({send}, clock)};
};

test('a group that cannot be asked has the kinds that it had', async () => {
  const {clock, server, discovery} = setUp();
  expect(await discovery.serves(ROUTE, forever)).toBe(true);
  server.status = 503;
  clock.freeze(HOUR_MS);
  expect(await discovery.serves(ROUTE, forever)).toBe(true);
  expect(await discovery.serves(OTHER, forever)).toBe(false);
  server.status = 404;
  expect(await discovery.serves(ROUTE, forever)).toBe(false);
});

test('a group that could never be asked is an error, not a kind that is missing', async () => {
  const {server, discovery} = setUp();
  server.status = 503;
  await expect(discovery.serves(ROUTE, forever)).rejects.toThrow('answered 503');
});

test.each(['..', '.', '', 'a/b', '../../../api/v1/secrets', 'a%2fb', 'a b', '\ud800', 'x'.repeat(254)])(
  'a name that no object has leads to no path: %j',
  async (name) => {
    const {discovery} = setUp();
    const key = {...ROUTE, namespace: 'a', name: 'b'};
    for (const bad of [
      {...key, name},
      {...key, namespace: name},
    ])
      await expect(discovery.objectPath(bad, forever)).rejects.toMatchObject({status: 404});
    expect(await discovery.objectPath({...key, name: 'system:a.b'}, forever)).toBe(
      '/apis/gateway.example.org/v1/namespaces/a/routes/system%3Aa.b',
    );
  },
);

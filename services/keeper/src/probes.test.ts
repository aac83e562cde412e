import {setTimeout as delay} from 'node:timers/promises';
import {expect, test} from '@jest/globals';
import {brokerNames} from '@pisync/core/broker/names';
import {openCache} from '@pisync/core/cache/cache';
import {AppError} from '@pisync/core/errors/app-error';
import {createLogger} from '@pisync/core/telemetry/logger';
import {Registry} from 'prom-client';
import {tryBroker, tryCache} from './probes.ts';

const names = brokerNames('test');

/** A publisher that can publish after so many looks at it. */
const publisherAfter = (looks: number) => {
  const seen = {looks: 0};
  const trouble = (): string | undefined => (seen.looks++ < looks ? 'no connection: not connected yet' : undefined);
  return {
    trouble,
    publish: () =>
      seen.looks > looks
        ? Promise.resolve()
        : Promise.reject(new AppError('broker-unavailable', 'nothing was published: no connection')),
  };
};
const atOnce = (): Promise<void> => Promise.resolve();

test('a broker whose connection is being made is not taken for one that is away', async () => {
  expect(await tryBroker(publisherAfter(5), names, atOnce)).toEqual({ok: true});
});

test('a broker that nothing connects to is given up after seconds', async () => {
  const found = await tryBroker(publisherAfter(Infinity), names, atOnce);
  expect(found).toMatchObject({ok: false, reason: expect.stringContaining('no connection')});
});

test('of a cache that cannot be reached is told why', async () => {
  const cache = await openCache({
    // Nothing listens there.
    endpoint: {host: '127.0.0.1', port: 1},
    password: () => Promise.resolve(undefined),
    log: createLogger({level: 'silent', service: 'keeper', pod: 'test'}),
    registry: new Registry(),
    now: () => performance.now(),
  });
  try {
    const found = await tryCache(cache, 'keeper-0', () => delay(20));
    expect(found).toEqual({ok: false, reason: 'connect ECONNREFUSED 127.0.0.1:1'});
  } finally {
    await cache.close();
  }
});

test('a cache that answers and does not keep its keys is found', async () => {
  const cache = {use: () => Promise.resolve(undefined), trouble: () => undefined};
  const found = await tryCache(cache, 'keeper-0', atOnce);
  expect(found).toEqual({ok: false, reason: 'a key that was written could not be read back'});
});

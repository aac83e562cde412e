import {expect, test} from '@jest/globals';
import {brokerNames} from '@pisync/core/broker/names';
import {AppError} from '@pisync/core/errors/app-error';
import {tryBroker} from './probes.ts';

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

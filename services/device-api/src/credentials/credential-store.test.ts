import {expect, test} from '@jest/globals';
import type {Credential} from '@pisync/core/devices/credentials';
import {AppError} from '@pisync/core/errors/app-error';
import {createGather} from '@pisync/core/limits/gather';
import {createCredentialStore} from './credential-store.ts';

test.each<[string, (caller: number) => string]>([
  ['each another', (caller) => `device ${caller}`],
  ['all the same', () => 'device'],
])('of those who name devices of a shard that hangs, %s, a few hundred wait', async (_which, idOf) => {
  const {promise: never} = Promise.withResolvers<ReadonlyMap<string, Credential>>();
  const load = createGather<Credential>({askAll: () => never});
  const store = createCredentialStore({
    cache: {
      find: () => Promise.resolve(undefined),
      keep: () => Promise.resolve(),
      drop: () => Promise.resolve(),
      invalidate: () => Promise.resolve(),
      announce: () => Promise.resolve(),
      onAnnounced: () => undefined,
    },
    load,
    loadQuickly: load,
    now: () => 0,
  });
  const callers = Array.from({length: 1_000}, (_, caller) => store.find(idOf(caller)));
  let refused = 0;
  for (const call of callers) call.catch(() => (refused += 1));
  await expect(callers.at(-1)).rejects.toMatchObject({code: 'overloaded'});
  expect(refused).toBeGreaterThan(590);
});

/** A process that finds a device in Redis which it should ask the shard for. */
const setUp = () => {
  const device: Credential = {
    ...{deviceId: 'device', deviceKey: 1, slot: 1, secretHash: Buffer.alloc(32, 1), epoch: 1, revoked: false},
  };
  const clock = {ms: 0};
  const refusal: {code: 'overloaded' | 'shard-unavailable'} = {code: 'overloaded'};
  const shard: {answers: () => Promise<Credential>} = {
    answers: () => Promise.reject(new AppError('shard-unavailable', 'x')),
  };
  const store = createCredentialStore({
    cache: {
      find: () => Promise.resolve({credential: device, isBelieved: false}),
      keep: () => Promise.resolve(),
      drop: () => Promise.resolve(),
      invalidate: () => Promise.resolve(),
      announce: () => Promise.resolve(),
      onAnnounced: () => undefined,
    },
    load: () => shard.answers(),
    loadQuickly: () => Promise.reject(new AppError(refusal.code, 'x')),
    now: () => clock.ms,
  });
  return {device, clock, refusal, shard, store};
};

test('while its shard answers others and has no connection free, a device is believed for a minute', async () => {
  const {device, clock, shard, store} = setUp();
  expect(await store.find('device')).toEqual(device);
  clock.ms += 60_000;
  await expect(store.find('device')).rejects.toMatchObject({code: 'shard-unavailable'});
  const revoked = {...device, revoked: true};
  shard.answers = () => Promise.resolve(revoked);
  expect(await store.find('device')).toEqual(revoked);
  // Once it was asked there is another minute.
  clock.ms += 60_000;
  expect(await store.find('device')).toEqual(device);
});

test('while its shard is away a device is believed as long as Redis remembers it', async () => {
  const {device, clock, refusal, store} = setUp();
  refusal.code = 'shard-unavailable';
  for (let minute = 0; minute < 10; minute++) {
    expect(await store.find('device')).toEqual(device);
    clock.ms += 60_000;
  }
});

import {expect, test} from '@jest/globals';
import type {Credential} from '@pisync/core/devices/credentials';
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

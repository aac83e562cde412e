import {expect, test} from '@jest/globals';
import {createDoor} from '@pisync/core/limits/door';
import {createCredentialStore} from './credential-store.ts';

test.each<[string, (caller: number) => string]>([
  ['each another', (caller) => `device ${caller}`],
  ['all the same', () => 'device'],
])('of those who name devices of a shard that hangs, %s, a few hundred wait', async (_which, idOf) => {
  const door = createDoor();
  const {promise: never} = Promise.withResolvers<undefined>();
  const load = () => door(() => never);
  const store = createCredentialStore({
    cache: {
      use: () => Promise.resolve(undefined),
      trouble: () => undefined,
      subscribe: () => undefined,
      close: () => Promise.resolve(),
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

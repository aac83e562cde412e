import {randomUUID} from 'node:crypto';
import {setImmediate} from 'node:timers/promises';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type Cache, openCache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL} from '@pisync/core/cache/cache-keys';
import type {Credential} from '@pisync/core/devices/credentials';
import {until} from '@pisync/core/testing/until';
import {createCredentialCache} from './credential-cache.ts';
import {createCredentialStore} from './credential-store.ts';

const now = (): number => performance.now();

/** One process: its own connection to Redis, its own memory. */
const openProcess = async () => {
  const redis = new URL(process.env.PISYNC_TEST_REDIS_URL ?? 'redis://PISYNC_TEST_REDIS_URL-is-not-set:1');
  const cache: Cache = await openCache({
    endpoint: {host: redis.hostname, port: Number(redis.port)},
    password: () => Promise.resolve(undefined),
    log: pino({level: 'silent'}),
    registry: new Registry(),
    now,
  });
  /** What the shard is asked for and has not answered yet, oldest first. */
  const asked: ((credential: Credential) => void)[] = [];
  const load = () => new Promise<Credential>((resolve) => asked.push(resolve));
  const store = createCredentialStore({cache: createCredentialCache(cache), load, loadQuickly: load, now});
  const heard = new Set<string>();
  cache.subscribe(CACHE_CHANNEL.revoked, (deviceId) => heard.add(deviceId));
  const answer = async (credential: Credential): Promise<void> => {
    await until('the shard to be asked', () => asked.length > 0);
    asked.shift()?.(credential);
  };
  return {cache, store, heard, asked, answer};
};

let here: Awaited<ReturnType<typeof openProcess>>;
let there: Awaited<ReturnType<typeof openProcess>>;
beforeAll(async () => {
  [here, there] = await Promise.all([openProcess(), openProcess()]);
  await until('both processes to hear each other', async () => {
    await here.store.invalidate('probe from here');
    await there.store.invalidate('probe from there');
    return there.heard.has('probe from here') && here.heard.has('probe from there');
  });
}, 60_000);
afterAll(() => Promise.all([here.cache.close(), there.cache.close()]));

const credentials = (deviceId: string) => {
  const old: Credential = {
    deviceId,
    deviceKey: 1,
    slot: 1,
    secretHash: Buffer.alloc(32, 1),
    epoch: 1,
    revoked: false,
  };
  return {old, current: {...old, secretHash: Buffer.alloc(32, 2), epoch: 2}};
};

test('a credential is read from the shard once, for every process', async () => {
  const deviceId = randomUUID();
  const {old} = credentials(deviceId);
  const first = here.store.find(deviceId);
  await here.answer(old);
  expect(await first).toEqual(old);
  expect(await here.store.find(deviceId)).toEqual(old);
  expect(await there.store.find(deviceId)).toEqual(old);
});

test('a read that another process overtook with a new credential leaves nothing behind', async () => {
  const deviceId = randomUUID();
  const {old, current} = credentials(deviceId);
  const overtaken = here.store.find(deviceId);
  await until('the shard to be asked', () => here.asked.length > 0);
  await there.store.invalidate(deviceId);
  await until('the invalidation to be heard', () => here.heard.has(deviceId));
  await here.answer(old);
  await overtaken;
  for (const {store, answer} of [here, there]) {
    const [found] = await Promise.all([store.find(deviceId), answer(current)]);
    expect(found).toEqual(current);
  }
});

test('guesses drive out no device that is known', async () => {
  const device = credentials(randomUUID()).old;
  let asked = 0;
  const store = createCredentialStore({
    // Without Redis everything stands in the memory of the process.
    cache: createCredentialCache({...here.cache, use: () => Promise.resolve(undefined), subscribe: () => undefined}),
    load: (deviceId) => {
      asked += 1;
      return Promise.resolve(deviceId === device.deviceId ? device : undefined);
    },
    loadQuickly: () => Promise.reject(new Error('is not asked')),
    now,
  });
  expect(await store.find(device.deviceId)).toEqual(device);
  for (let guess = 0; guess < 100_000; guess++) {
    // The connections of the others are looked at, too: one that waits for an answer is given up after three seconds.
    if (guess % 1_000 === 0) await setImmediate();
    await store.find(`guess-${guess}`);
  }
  expect(asked).toBe(100_001);
  expect(await store.find(device.deviceId)).toEqual(device);
  expect(asked).toBe(100_001);
});

test('what an enrolment introduces is known in every process, without a question to the shard', async () => {
  const deviceId = randomUUID();
  const {old, current} = credentials(deviceId);
  for (const credential of [old, current]) {
    there.heard.delete(deviceId);
    await here.store.introduce(credential);
    await until('it to be heard of', () => there.heard.has(deviceId));
    for (const {store, asked} of [here, there]) {
      expect(await store.find(deviceId)).toEqual(credential);
      expect(asked).toEqual([]);
    }
  }
});

test('a device that was made anew replaces the one before, whose epochs were higher', async () => {
  const deviceId = randomUUID();
  const {old, current} = credentials(deviceId);
  const anew = {...old, deviceKey: 2, secretHash: Buffer.alloc(32, 3)};
  await here.store.introduce(current);
  there.heard.delete(deviceId);
  await here.store.introduce(anew);
  await until('it to be heard of', () => there.heard.has(deviceId));
  for (const {store, asked} of [here, there]) {
    expect(await store.find(deviceId)).toEqual(anew);
    expect(asked).toEqual([]);
  }
});

test('a read that an enrolment overtook does not bring the old credential back', async () => {
  const deviceId = randomUUID();
  const {old, current} = credentials(deviceId);
  const overtaken = here.store.find(deviceId);
  await until('the shard to be asked', () => here.asked.length > 0);
  await there.store.introduce(current);
  await until('the new one to be heard of', () => here.heard.has(deviceId));
  await here.answer(old);
  await overtaken;
  expect([await here.store.find(deviceId), await there.store.find(deviceId)]).toEqual([current, current]);
});

test('an enrolment does not bring back what was revoked a moment ago', async () => {
  const deviceId = randomUUID();
  const {old} = credentials(deviceId);
  const revoked = {...old, revoked: true};
  await there.store.invalidate(deviceId);
  await here.store.introduce(old);
  const [found] = await Promise.all([there.store.find(deviceId), there.answer(revoked)]);
  expect(found).toEqual(revoked);
});

test('who asks after an invalidation does not get the answer to an older question', async () => {
  const deviceId = randomUUID();
  const {old, current} = credentials(deviceId);
  const overtaken = here.store.find(deviceId);
  await until('the shard to be asked', () => here.asked.length === 1);
  await here.store.invalidate(deviceId);
  await until('its own word to be heard', () => here.heard.has(deviceId));
  const fresh = here.store.find(deviceId);
  await until('the shard to be asked again', () => here.asked.length === 2);
  here.asked.pop()?.(current);
  expect(await fresh).toEqual(current);
  await here.answer(old);
  await overtaken;
  expect(await here.store.find(deviceId)).toEqual(current);
});

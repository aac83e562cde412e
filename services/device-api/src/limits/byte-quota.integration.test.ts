import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import type {Cache} from '@pisync/core/cache/cache';
import {openTestCache} from '@pisync/core/testing/open-test-cache';
import {createByteQuota} from './byte-quota.ts';

const MIB = 1024 * 1024;
const REFUSED: unknown = expect.objectContaining({code: 'rate-limited'});

let cache: Cache;
beforeAll(async () => {
  cache = await openTestCache();
});
afterAll(() => cache.close());

const AWAY: Pick<Cache, 'use'> = {use: () => Promise.resolve(undefined)};

/** A pod, and its clock. */
const startPod = (shared: Pick<Cache, 'use'> = cache) => {
  const clock = {ms: 0};
  const quota = createByteQuota({cache: shared, burstBytes: 64 * MIB, bytesADay: 256 * MIB, now: () => clock.ms});
  return {clock, quota};
};

/** How many batches of a MiB are taken before one is refused; `pods` are called in turn. */
const takenBy = async (pods: readonly ReturnType<typeof startPod>[], deviceId: string): Promise<number> => {
  for (let taken = 0; taken < 1_000; taken++) {
    try {
      await pods[taken % pods.length]?.quota.charge(deviceId, MIB);
    } catch (error) {
      expect(error).toEqual(REFUSED);
      return taken;
    }
  }
  return Infinity;
};

test('all pods together grant a device what one would, and what each grants unasked', async () => {
  const pods = [startPod(), startPod(), startPod(), startPod()];
  const taken = await takenBy(pods, randomUUID());
  expect(taken).toBeGreaterThanOrEqual(64);
  expect(taken).toBeLessThanOrEqual(64 + pods.length);
  expect(await takenBy([startPod()], randomUUID())).toBeGreaterThanOrEqual(64);
});

test('without Redis each pod counts by itself, and what refills is granted again', async () => {
  const pod = startPod(AWAY);
  const deviceId = randomUUID();
  expect(await takenBy([pod], deviceId)).toBe(64);
  await expect(pod.quota.charge(deviceId, MIB)).rejects.toThrow(
    expect.objectContaining({code: 'rate-limited', retryAfterSeconds: 338}),
  );
  expect(await takenBy([pod], randomUUID())).toBe(64);
  pod.clock.ms += 86_400_000 / 16;
  expect(await takenBy([pod], deviceId)).toBe(16);
});

test('those who come at the same moment get no more', async () => {
  for (const pod of [startPod(AWAY), startPod()]) {
    const deviceId = randomUUID();
    const outcomes = await Promise.allSettled(Array.from({length: 100}, () => pod.quota.charge(deviceId, MIB)));
    const taken = outcomes.filter(({status}) => status === 'fulfilled').length;
    expect(taken).toBeGreaterThanOrEqual(64);
    expect(taken).toBeLessThanOrEqual(65);
  }
});

test('a device that stays small asks nobody', async () => {
  let uses = 0;
  const counting: Pick<Cache, 'use'> = {
    use: (work) => {
      uses += 1;
      return cache.use(work);
    },
  };
  const {quota} = startPod(counting);
  const deviceId = randomUUID();
  for (let batch = 0; batch < 50; batch++) await quota.charge(deviceId, 20_000);
  expect(uses).toBe(0);
});

test('a device that was told when to come back sends nothing large before, and is charged by what it sends then', async () => {
  const {clock, quota} = startPod(AWAY);
  const deviceId = randomUUID();
  await quota.charge(deviceId, 64 * MIB);
  for (const bytes of [undefined, MIB]) quota.check(deviceId, bytes);
  await expect(quota.charge(deviceId, MIB)).rejects.toEqual(REFUSED);
  for (const bytes of [undefined, MIB]) {
    expect(() => quota.check(deviceId, bytes)).toThrow(
      expect.objectContaining({code: 'rate-limited', retryAfterSeconds: 338}),
    );
  }
  quota.check(deviceId, 200);
  quota.check(randomUUID(), MIB);
  clock.ms += 337_500;
  quota.check(deviceId, MIB);
  await quota.charge(deviceId, MIB);
});

import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import type {Cache} from '@pisync/core/cache/cache';
import {openTestCache} from '@pisync/core/testing/open-test-cache';
import {createSharedQuota, type SharedQuota} from './shared-quota.ts';

let cache: Cache;
beforeAll(async () => {
  cache = await openTestCache();
});
afterAll(() => cache.close());

const AWAY: Pick<Cache, 'use'> = {use: () => Promise.resolve(undefined)};
/** Of which a pod grants one unasked. So slowly does it refill that no test sees it. */
const LIMITS = {burst: 64, aDay: 64};

const startPod = (shared: Pick<Cache, 'use'> = cache): SharedQuota =>
  createSharedQuota({
    cache: shared,
    redisKey: (key) => `pisync:test:${key}`,
    limits: () => LIMITS,
    maxKeys: 10,
    now: () => performance.now(),
  });

const use = async (pod: SharedQuota, key: string, amount: number) => {
  const outcome = await pod.use(key, amount);
  if (outcome.kind === 'over') throw new Error('there is room');
  return outcome;
};

test.each([
  ['with Redis', () => startPod()],
  ['without Redis', () => startPod(AWAY)],
])('what is given back can be used again, %s', async (_how, start) => {
  const [pod, key] = [start(), randomUUID()];
  await use(pod, key, 40);
  const {giveBack} = await use(pod, key, 24);
  expect(await pod.use(key, 20)).toMatchObject({kind: 'over'});
  await giveBack();
  await use(pod, key, 24);
  expect(await pod.use(key, 1)).toMatchObject({kind: 'over'});
});

test('other pods see what is given back', async () => {
  const [pod, other, key] = [startPod(), startPod(), randomUUID()];
  const {giveBack} = await use(pod, key, 64);
  expect(await other.use(key, 10)).toMatchObject({kind: 'over'});
  await giveBack();
  await use(other, key, 64);
});

test('what a pod granted unasked is not given back of what others used', async () => {
  const [pod, other, key] = [startPod(), startPod(), randomUUID()];
  await use(other, key, 60);
  for (let time = 0; time < 20; time++) await (await use(pod, key, 1)).giveBack();
  expect(await startPod().use(key, 10)).toMatchObject({kind: 'over'});
});

test('no more than was used is given back', async () => {
  const [pod, key] = [startPod(), randomUUID()];
  const {giveBack} = await use(pod, key, 64);
  // As if it had refilled meanwhile.
  await cache.use((redis) => redis.del(`pisync:test:${key}`));
  await giveBack();
  await use(startPod(), key, 64);
  expect(await startPod().use(key, 2)).toMatchObject({kind: 'over'});
});

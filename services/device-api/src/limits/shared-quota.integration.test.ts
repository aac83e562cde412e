import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import type {Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {openTestCache} from '@pisync/core/testing/open-test-cache';
import {createByteQuota} from './byte-quota.ts';
import {createNewDeviceQuota} from './new-device-quota.ts';
import {createReEnrolmentQuota} from './re-enrolment-quota.ts';
import {createSharedQuota, type SharedQuota} from './shared-quota.ts';

let opened: Cache;
/** Waits for Redis, so that a slow machine is not one without it. */
let cache: Pick<Cache, 'use'>;
beforeAll(async () => {
  opened = await openTestCache();
  await opened.use((redis) => {
    cache = {use: (work) => work(redis)};
    return redis.ping();
  });
});
afterAll(() => opened.close());

const AWAY: Pick<Cache, 'use'> = {use: () => Promise.resolve(undefined)};
/** Of which a pod grants one unasked. So slowly does it refill that no test sees it. */
const LIMITS = {burst: 64, aDay: 64};

const startPod = (shared = cache): SharedQuota =>
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

test('what was granted before is given back also after Redis was told of it', async () => {
  const [pod, key] = [startPod(), randomUUID()];
  const {giveBack} = await use(pod, key, 1);
  await use(pod, key, 40);
  await giveBack();
  await use(startPod(), key, 24);
  expect(await startPod().use(key, 2)).toMatchObject({kind: 'over'});
});

test('who was refused is granted nothing more, and what it was granted before counts', async () => {
  const [pod, other, key] = [startPod(), startPod(), randomUUID()];
  await use(other, key, 64);
  await use(pod, key, 1);
  for (let time = 0; time < 5; time++) {
    const {overMs} = {overMs: 0, ...(await pod.use(key, 1))};
    // The one that is wanted, and the one that was granted.
    expect(overMs / 86_400_000).toBeCloseTo(2 / LIMITS.aDay, 3);
  }
});

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const PODS = 4;
const DAYS = 2;
/** Each pod for itself stays below what one may grant. */
const OF_LIMIT = 0.95;
/** Calls that come to a pod together. */
const TOGETHER = 10;

interface PodClock {
  readonly cache: Pick<Cache, 'use'>;
  readonly now: () => number;
}

/** As device-api has them: what may be used at once and a day, in the unit in which a call uses `amount`. */
const QUOTAS = {
  "a device's bytes": {
    ...{burst: 64 * MIB, aDay: 256 * MIB, amount: MIB / 2, redisKey: cacheKey.quota},
    start: (options: PodClock) => {
      const quota = createByteQuota({...options, burstBytes: 64 * MIB, bytesADay: 256 * MIB});
      return (key: string): Promise<unknown> => quota.charge(key, MIB / 2);
    },
  },
  "a token's new devices": {
    ...{burst: 1000, aDay: 1000, amount: 1, redisKey: cacheKey.newDevices},
    start: (options: PodClock) => {
      const quota = createNewDeviceQuota({...options, most: () => 1000});
      return (key: string): Promise<unknown> => quota.take(key);
    },
  },
  "a token's devices that come anew": {
    ...{burst: 1000, aDay: 1000, amount: 1, redisKey: cacheKey.reEnrolments},
    start: (options: PodClock) => {
      const quota = createReEnrolmentQuota({...options, mostOfToken: () => 1000});
      return (key: string): Promise<unknown> => quota.charge(randomUUID(), key);
    },
  },
};

test.each(Object.keys(QUOTAS) as (keyof typeof QUOTAS)[])(
  'for days all pods together grant what one would: %s',
  async (what) => {
    const {burst, aDay, amount, redisKey, start} = QUOTAS[what];
    const [clock, key] = [{ms: 0}, randomUUID()];
    const pods = Array.from({length: PODS}, () => start({cache, now: () => clock.ms}));
    const everyMs = ((TOGETHER * amount) / aDay / OF_LIMIT) * DAY_MS;
    /** Redis has a clock of its own, which nobody moves: what it knows lives as much shorter. */
    const pass = async (): Promise<void> => {
      clock.ms += everyMs;
      await cache.use(async (redis) => {
        const ms = await redis.pttl(redisKey(key));
        if (ms > 0) await redis.pexpire(redisKey(key), Math.max(1, Math.round(ms - everyMs)));
      });
    };
    /** How many are taken before one is refused. */
    const taken = async (ask: (typeof pods)[number]): Promise<number> => {
      for (let count = 0; count < TOGETHER; count++) {
        const isTaken = await ask(key).then(
          () => true,
          () => false,
        );
        if (!isTaken) return count;
      }
      return TOGETHER;
    };
    let used = 0;
    while (clock.ms < DAYS * DAY_MS) {
      for (const pod of pods) used += (await taken(pod)) * amount;
      await pass();
    }
    expect(used).toBeGreaterThanOrEqual(0.98 * (burst + DAYS * aDay));
    expect(used).toBeLessThanOrEqual(burst + DAYS * aDay + (PODS * burst) / 64);
  },
  60_000,
);

test('no more than was used is given back', async () => {
  const [pod, key] = [startPod(), randomUUID()];
  const {giveBack} = await use(pod, key, 64);
  // As if it had refilled meanwhile.
  await cache.use((redis) => redis.del(`pisync:test:${key}`));
  await giveBack();
  await use(startPod(), key, 64);
  expect(await startPod().use(key, 2)).toMatchObject({kind: 'over'});
});

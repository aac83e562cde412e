import {performance} from 'node:perf_hooks';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {type Cache, openCache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {markChanged} from '@pisync/core/cache/device-entries';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {silentLog} from '../testing/silent-log.ts';
import {Registry} from 'prom-client';
import {z} from 'zod';
import {type SeededDevice, seedApiToken, seedDevices, seedSyncs} from '../testing/seed.ts';
import {redisUrl} from '../testing/test-redis.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';
import {openWithoutShard1} from '../testing/without-shard.ts';

let region: TestShards;
let cache: Cache;
let api: TestApi;
let devices: readonly SeededDevice[];
let viewer: string;

const open = (port: number): Promise<Cache> =>
  openCache({
    endpoint: {host: redisUrl().hostname, port},
    password: () => Promise.resolve(redisUrl().password === '' ? undefined : redisUrl().password),
    log: silentLog,
    registry: new Registry(),
    now: () => performance.now(),
  });

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  devices = await seedDevices(region.shards, 7);
  viewer = await seedApiToken(region.shards, 'viewer');
  cache = await open(Number(redisUrl().port === '' ? '6379' : redisUrl().port));
  await until('Redis to answer', async () => (await cache.use((redis) => redis.ping())) === 'PONG');
  await cache.use((redis) => redis.del(cacheKey.aggregate('summary')));
  api = await startTestApi({shards: region.shards, cache});
}, 60_000);

afterAll(async () => {
  await cache.use((redis) =>
    redis.del(cacheKey.aggregate('summary'), ...devices.flatMap(({id}) => [cacheKey.device(id), cacheKey.status(id)])),
  );
  await api.close();
  await cache.close();
  await region.close();
}, 30_000);

const deviceAt = (index: number): SeededDevice => {
  const device = devices[index];
  if (device === undefined) throw new Error(`device ${index} was not seeded`);
  return device;
};

const shown = async (id: string, from = api): Promise<{readonly name: string; readonly recordsTotal: number}> => {
  const {body} = await from.call('GET', `/api/v1/devices/${id}`, {token: viewer});
  return z.object({data: z.object({name: z.string(), recordsTotal: z.int()})}).parse(body).data;
};

test('a device is read from the cache until a write says that it changed', async () => {
  const device = deviceAt(0);
  const before = await shown(device.id);
  await seedSyncs(region.shards, device, 2, 2);
  await region.shards
    .pool(device.shard, 'job')
    .query('update device set name = $2 where device_key = $1', [device.deviceKey, 'renamed']);
  expect(await shown(device.id)).toEqual(before);

  // What the worker does after its commit.
  await cache.use((redis) => Promise.all(markChanged(redis, device.id, ['status'])));
  expect((await shown(device.id)).recordsTotal).toBe(4);

  await cache.use((redis) => Promise.all(markChanged(redis, device.id, ['device'])));
  expect((await shown(device.id)).name).toBe('renamed');
});

test('what a reader found that began before a write is not kept', async () => {
  const device = deviceAt(5);
  const {recordsTotal} = await shown(device.id);
  await cache.use((redis) => Promise.all(markChanged(redis, device.id)));
  // This one stands for a reader whose answer comes after the writer's word.
  await shown(device.id);
  await seedSyncs(region.shards, device, 1, 2);
  expect((await shown(device.id)).recordsTotal).toBe(recordsTotal + 2);
});

test('entries live as long as they should: status a minute, information ten, counts a day', async () => {
  const {id} = deviceAt(1);
  await shown(id);
  await api.call('GET', '/api/v1/region/summary', {token: viewer});
  const ttls = await cache.use((redis) =>
    Promise.all([cacheKey.status(id), cacheKey.device(id), cacheKey.aggregate('summary')].map((key) => redis.ttl(key))),
  );
  const bounds = [60, 600, 86_400];
  for (const [index, ttl] of (ttls ?? []).entries()) {
    const bound = bounds[index] ?? 0;
    expect(ttl).toBeLessThanOrEqual(bound);
    expect(ttl).toBeGreaterThan(bound - 10);
  }
  expect(ttls).toHaveLength(3);
});

test('an unchanged device is not sent again to who has its ETag', async () => {
  const {id} = deviceAt(2);
  const first = await api.call('GET', `/api/v1/devices/${id}`, {token: viewer});
  const etag = first.headers.get('etag') ?? '';
  const again = await api.call('GET', `/api/v1/devices/${id}`, {token: viewer, headers: {'if-none-match': etag}});
  expect(again.status).toBe(304);
});

test('an ETag stays while only the time changes at which the device was read', async () => {
  const {id} = deviceAt(2);
  const read = async () => {
    const {headers, body} = await api.call('GET', `/api/v1/devices/${id}`, {token: viewer});
    return {etag: headers.get('etag'), asOf: z.object({asOf: z.string()}).parse(body).asOf};
  };
  const first = await read();
  const again = await until(
    'another reading',
    async () => {
      await cache.use((redis) => redis.del(cacheKey.status(id)));
      return read();
    },
    ({asOf}) => asOf !== first.asOf,
  );
  expect(again.etag).toBe(first.etag);
});

/** Writes another count, of a time ago, into the cache. */
const countedBefore = async (agoMs: number, devicesOf: (shard: number) => number): Promise<void> => {
  const asOf = new Date(Date.now() - agoMs).toISOString();
  const shards = [0, 1].map((shard) => ({
    shard,
    asOf,
    counts: [{groupId: 1, status: 'late', count: devicesOf(shard)}],
  }));
  const text = JSON.stringify({asOf, missing: [], shards});
  await cache.use((redis) => redis.set(cacheKey.aggregate('summary'), text, 'EX', 300));
};

test('what was read for somebody who sees all is not shown to who sees one group, nor the other way round', async () => {
  const [inGroup, other] = [deviceAt(0), devices.find(({group}) => group !== deviceAt(0).group)];
  if (other === undefined) throw new Error('all devices are in one group');
  const scoped = await seedApiToken(region.shards, 'viewer', [inGroup.group]);
  const count = devices.filter(({group}) => group === inGroup.group).length;
  const seenBy = async (token: string): Promise<readonly unknown[]> => {
    const statuses = [inGroup, other].map(({id}) => api.call('GET', `/api/v1/devices/${id}`, {token}));
    const {body} = await api.call('GET', '/api/v1/region/summary', {token});
    const list = await api.call('GET', '/api/v1/devices?limit=1&count=true', {token});
    return [
      ...(await Promise.all(statuses)).map(({status}) => status),
      z.object({devices: z.int()}).parse(body).devices,
      z.object({count: z.object({value: z.int()})}).parse(list.body).count.value,
    ];
  };
  await cache.use((redis) =>
    redis.del(cacheKey.aggregate('summary'), cacheKey.device(other.id), cacheKey.status(other.id)),
  );
  for (const _look of ['reads the shards', 'has it from the cache']) {
    expect(await seenBy(scoped)).toEqual([200, 404, count, count]);
    expect(await seenBy(viewer)).toEqual([200, 200, devices.length, devices.length]);
  }
});

const summarySchema = z.object({
  devices: z.int(),
  partial: z.array(z.string()).optional(),
  byShard: z.array(z.object({shard: z.int(), devices: z.int(), asOf: z.string()})),
});

test('the calls of a token are counted for all processes together, and at each while Redis is away', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  const dead = await open(1);
  const limits = {shards: region.shards, callsPerMinute: 3};
  const [one, other, alone] = await Promise.all([
    startTestApi({...limits, cache}),
    startTestApi({...limits, cache}),
    startTestApi({...limits, cache: dead}),
  ]);
  const left = async (at: TestApi): Promise<readonly [number, string | null]> => {
    const {status, headers} = await at.call('GET', '/api/v1/session', {token});
    return [status, headers.get('ratelimit-remaining')];
  };
  try {
    expect(await left(one)).toEqual([200, '2']);
    expect(await left(other)).toEqual([200, '1']);
    expect(await left(one)).toEqual([200, '0']);
    expect(await left(other)).toEqual([429, '0']);
    expect(await left(alone)).toEqual([200, '2']);
  } finally {
    await Promise.all([one, other, alone].map((each) => each.close()));
    await dead.close();
  }
});

test('a large answer costs further calls, with Redis and without', async () => {
  const {id, deviceKey, shard} = deviceAt(6);
  await seedSyncs(region.shards, deviceAt(6), 3, 10);
  await region.shards
    .pool(shard, 'job')
    .query(`update record set data = to_jsonb(repeat('x', 60000)) where device_key = $1`, [deviceKey]);
  const dead = await open(1);
  const limits = {shards: region.shards, callsPerMinute: 6};
  const [shared, alone] = [await startTestApi({...limits, cache}), await startTestApi({...limits, cache: dead})];
  try {
    for (const at of [shared, alone]) {
      const token = await seedApiToken(region.shards, 'viewer');
      const ask = async (limit: number) => {
        const {status, headers} = await at.call('GET', `/api/v1/devices/${id}/records?limit=${limit}`, {token});
        return [status, headers.get('ratelimit-remaining')];
      };
      expect(await ask(1)).toEqual([200, '5']);
      // Half a megabyte: one call more.
      expect(await ask(30)).toEqual([200, '4']);
      expect(await ask(30)).toEqual([200, '2']);
      expect(await ask(30)).toEqual([200, '0']);
      expect(await ask(1)).toEqual([429, '0']);
    }
  } finally {
    await shared.close();
    await alone.close();
    await dead.close();
  }
});

test('counts come from the cache, and those of long ago are counted again', async () => {
  await countedBefore(1_000, () => 4711);
  expect((await api.call('GET', '/api/v1/region/summary', {token: viewer})).body).toMatchObject({devices: 9422});
  await countedBefore(301_000, () => 4711);
  expect((await api.call('GET', '/api/v1/region/summary', {token: viewer})).body).toMatchObject({devices: 7});
});

test('a shard that does not answer is counted as it was when it last did', async () => {
  const shards = await openWithoutShard1(region);
  const impaired = await startTestApi({shards, cache});
  try {
    const inShard0 = devices.filter(({shard}) => shard === 0).length;
    await countedBefore(301_000, () => 4711);
    const {body} = await impaired.call('GET', '/api/v1/region/summary', {token: viewer});
    const summary = summarySchema.parse(body);
    expect(summary).toMatchObject({devices: inShard0 + 4711, partial: ['shard-1']});
    const [here, away] = summary.byShard;
    expect(away?.devices).toBe(4711);
    expect(Date.parse(here?.asOf ?? '') - Date.parse(away?.asOf ?? '')).toBeGreaterThan(300_000);
    // And so it is for whoever asks another process.
    const next = summarySchema.parse((await api.call('GET', '/api/v1/region/summary', {token: viewer})).body);
    expect(next).toMatchObject({devices: inShard0 + 4711, partial: ['shard-1']});
  } finally {
    await impaired.close();
    await shards.close();
  }
});

test('an entry of another shape, as another release may write it, is read again from the shard', async () => {
  const {id} = deviceAt(3);
  await cache.use((redis) => redis.set(cacheKey.device(id), '{"v":99}', 'EX', 600));
  await cache.use((redis) => redis.set(cacheKey.status(id), 'not json', 'EX', 60));
  expect((await shown(id)).name).toMatch(/^site-/);
  // And in its place is what this one reads.
  expect(await cache.use((redis) => redis.get(cacheKey.device(id)))).toContain('"name":"site-');
});

test('what one of its entries said before is not shown again when the other one has expired', async () => {
  const device = deviceAt(6);
  await shown(device.id);
  // By somebody who tells no cache, as a person with psql.
  await region.shards
    .pool(device.shard, 'job')
    .query('update device set name = $2 where device_key = $1', [device.deviceKey, 'by hand']);
  await cache.use((redis) => redis.del(cacheKey.status(device.id)));
  for (const _look of ['the first reads it', 'the next has it from the cache'])
    expect((await shown(device.id)).name).toBe('by hand');
});

test('without Redis everything still works, only uncached', async () => {
  const dead = await open(1);
  const uncached = await startTestApi({shards: region.shards, cache: dead});
  try {
    const device = deviceAt(4);
    expect((await shown(device.id, uncached)).recordsTotal).toBe(0);
    await seedSyncs(region.shards, device, 1, 3);
    expect((await shown(device.id, uncached)).recordsTotal).toBe(3);
    expect((await uncached.call('GET', '/api/v1/region/summary', {token: viewer})).body).toMatchObject({devices: 7});
  } finally {
    await uncached.close();
    await dead.close();
  }
});

import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {openShards, type Shards} from '@pisync/core/shards/shards';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {Registry} from 'prom-client';
import {seedApiToken, seedDevices} from '../testing/seed.ts';
import {silentLog} from '../testing/silent-log.ts';
import {startTestApi, type TestApi} from '../testing/test-api.ts';

let region: TestShards;
let own: Shards;
let api: TestApi;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  own = await openShards({
    topology: {current: () => region.topology, onChange: () => () => undefined},
    secretsDir: region.secretsDir,
    applicationName: 'test-full-pool',
    log: silentLog,
    metrics: new Registry(),
    sizes: {ingest: 1, dashboard: 1, job: 1},
  });
  api = await startTestApi({shards: own, cache: {use: () => Promise.resolve(undefined)}});
}, 60_000);

afterAll(async () => {
  await api.close();
  await own.close();
  await region.close();
}, 30_000);

test('who finds every connection to a shard busy is told that there are too many readers, not that the shard is away', async () => {
  const token = await seedApiToken(region.shards, 'viewer');
  const device = (await seedDevices(region.shards, 20)).find(({shard}) => shard === 1);
  const reader = await own.pool(1, 'dashboard').connect();
  try {
    const {status, headers, body} = await api.call('GET', `/api/v1/devices/${device?.id ?? ''}/syncs`, {token});
    expect({status, body}).toMatchObject({status: 503, body: {code: 'overloaded'}});
    expect(headers.has('retry-after')).toBe(true);
  } finally {
    reader.release();
  }
}, 30_000);

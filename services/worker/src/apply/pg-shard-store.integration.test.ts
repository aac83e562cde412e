import {performance} from 'node:perf_hooks';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {openShards} from '@pisync/core/shards/shards';
import {createLogger} from '@pisync/core/telemetry/logger';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {Registry} from 'prom-client';
import {enrolDevices} from '../testing/batches.ts';
import {describeShardStore} from '../testing/shard-store-contract.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {type ShardStore} from './shard-store.ts';

jest.setTimeout(60_000);

/** A second for a connection, two for its answer, and one to end its session: less than what the server allows a statement. */
const SOON_MS = 8_000;

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

describeShardStore(() => ({
  store: createPgShardStore(bench.shards, Date.now),
  async enrol() {
    const [device] = await enrolDevices(bench.shards, 1);
    if (device === undefined) throw new Error('no device was enrolled');
    return device;
  },
}));

test.each([
  {asked: 'for devices that are held', ask: (store: ShardStore) => store.heldDevices(0, [1])},
  {asked: 'for the place of a day', ask: (store: ShardStore) => store.ensureDays(0, ['2026-01-01'])},
  {asked: 'for its schema', ask: (store: ShardStore) => store.isOutdated(0)},
])('a shard that hangs when it is asked $asked is given up soon', async ({ask}) => {
  const {host, port} = bench.target(0);
  const proxy: MuteProxy = await openMuteProxy(new URL(`tcp://${host}:${port}`));
  const topology = {
    ...bench.topology,
    shards: bench.topology.shards.map((shard) => ({...shard, rw: {host: '127.0.0.1', port: proxy.port}})),
  };
  const shards = await openShards({
    topology: {current: () => topology, onChange: () => () => undefined},
    secretsDir: bench.secretsDir,
    applicationName: 'test-store',
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    metrics: new Registry(),
    sizes: {ingest: 2, dashboard: 1, job: 2},
  });
  const store = createPgShardStore(shards, Date.now);
  try {
    await ask(store);
    proxy.state.mute = true;
    const beganAtMs = performance.now();
    await expect(ask(store)).rejects.toThrow();
    expect(performance.now() - beganAtMs).toBeLessThan(SOON_MS);
  } finally {
    proxy.cut();
    await shards.close();
    proxy.close();
  }
});

import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test} from '@jest/globals';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {type Batch} from './apply/batch.ts';
import {batchOf, enrolDevices, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type RunningWorker, until, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(120_000);

/** More bundles than a worker takes in hand. */
const BUNDLES = 300;
/** A device's batches are one after the other, so that its position says how many are applied. */
const DEVICES = 6;
const AWAY = 1;
/** What a busy machine may add to the times that are promised. */
const SLACK_MS = 3_000;

let bench: WorkerBench;
let proxy: MuteProxy;
let worker: RunningWorker;
let away: readonly TestDevice[];
let well: readonly TestDevice[];

beforeAll(async () => {
  bench = await openWorkerBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  const {host, port} = bench.shards.target(AWAY);
  proxy = await openMuteProxy(new URL(`tcp://${host}:${port}`));
  worker = await bench.start({ports: new Map([[AWAY, proxy.port]])});
  const {shards} = bench.shards;
  const devices = await enrolDevices(shards, DEVICES * 20);
  const onShard = (shardId: number) =>
    devices.filter(({slot}) => shards.slotMap.shardOf(slot) === shardId && slot % PARTITIONS === 0).slice(0, DEVICES);
  away = onShard(AWAY);
  well = onShard(1 - AWAY);
  expect([away.length, well.length]).toEqual([DEVICES, DEVICES]);
  await publishRounds(1, 1);
  await waitApplied([...away, ...well], 1);
});
afterEach(async () => {
  proxy.state.mute = false;
  proxy.state.refuse = false;
  await worker.close();
  proxy.close();
});

/** In each round every device sends a batch, and every bundle has one batch of each shard. */
const publishRounds = async (from: number, to: number): Promise<void> => {
  const bundles: (readonly Batch[])[] = [];
  for (let batchSeq = from; batchSeq <= to; batchSeq++) {
    for (const [index, device] of away.entries()) {
      const other = well[index];
      if (other === undefined) throw new Error('there are as many devices on one shard as on the other');
      bundles.push([batchOf({device, batchSeq}), batchOf({device: other, batchSeq})]);
    }
  }
  await Promise.all(bundles.map((batches, index) => bench.publish(batches, index % 5 === 0 ? 'high' : 'normal')));
};

const rowsOf = async (devices: readonly TestDevice[], text: string): Promise<readonly number[]> => {
  const found = await Promise.all(
    bench.shards.shards
      .ids()
      .map((shard) =>
        bench.shards.shards.pool(shard, 'job').query<{value: number}>(text, [devices.map(({deviceKey}) => deviceKey)]),
      ),
  );
  return found.flatMap(({rows}) => rows.map(({value}) => value));
};

const positions = (devices: readonly TestDevice[]) =>
  rowsOf(devices, 'select applied_through as value from device_state where device_key = any($1)');

const waitApplied = (devices: readonly TestDevice[], through: number, ms?: number) =>
  until(
    `batch ${through} of ${devices.length} devices`,
    () => positions(devices),
    (seen) => seen.length === devices.length && seen.every((one) => one === through),
    ms,
  );

const count = async (devices: readonly TestDevice[], what: string): Promise<number> =>
  (await rowsOf(devices, `select count(*) as value from ${what} where device_key = any($1)`)).reduce(
    (sum, one) => sum + one,
    0,
  );

describe.each([
  {
    how: 'refuses connections',
    leave: () => {
      proxy.state.refuse = true;
      proxy.cut();
    },
    promisedMs: 2_000,
  },
  {
    how: 'takes connections and never answers',
    leave: () => {
      proxy.state.mute = true;
    },
    promisedMs: 4_000,
  },
])('while a shard $how', ({leave, promisedMs}) => {
  test('the others go on, and afterwards its batches are applied once each without an attempt more', async () => {
    const rounds = BUNDLES / DEVICES;
    leave();
    await publishRounds(2, 1 + rounds);
    await waitApplied(well, 1 + rounds, promisedMs + SLACK_MS);
    expect(await positions(away)).toEqual(away.map(() => 1));

    // Known to be away by now: nothing is waited for any more.
    await publishRounds(2 + rounds, 2 + rounds);
    await waitApplied(well, 2 + rounds, 500 + SLACK_MS);

    proxy.state.mute = false;
    proxy.state.refuse = false;
    const began = performance.now();
    await waitApplied(away, 2 + rounds, 5_000 + SLACK_MS);
    console.log(`back after ${Math.round(performance.now() - began)} ms`);
    const batches = (2 + rounds) * DEVICES * 2;
    const devices = [...away, ...well];
    expect({
      receipts: await count(devices, 'receipt'),
      records: await count(devices, 'record'),
      quarantined: await count(devices, 'quarantine'),
      retried: await worker.counter('pisync_worker_batches_total', {outcome: 'retried'}),
    }).toEqual({receipts: batches, records: batches * 2, quarantined: 0, retried: 0});
  });
});

import {randomUUID} from 'node:crypto';
import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {RETRY_RUNGS} from '@pisync/core/broker/names';
import {publishSyncRequest} from '@pisync/core/broker/sync-request';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {until} from '@pisync/core/testing/until';
import pg from 'pg';
import {type Batch} from './apply/batch.ts';
import {batchOf, enrolDevices, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type RunningWorker, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(120_000);

/** More bundles than a worker takes in hand. */
const BUNDLES = 300;
/** A device's batches are one after the other, so that its position says how many are applied. */
const DEVICES = 6;
/** More than a worker takes in hand of one priority. */
const REQUESTS = 1_100;
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

/** Starts a worker that reaches one shard through a proxy, and devices on that shard and on the other that have synced once. */
const prepare = async (shardId: number): Promise<void> => {
  const {host, port} = bench.shards.target(shardId);
  proxy = await openMuteProxy(new URL(`tcp://${host}:${port}`));
  worker = await bench.start({ports: new Map([[shardId, proxy.port]])});
  const {shards} = bench.shards;
  const devices = await enrolDevices(shards, DEVICES * 20);
  // Of one partition, as a bundle's batches are.
  const onShard = (owner: number) =>
    devices.filter(({slot}) => shards.slotMap.shardOf(slot) === owner && slot % PARTITIONS === 0).slice(0, DEVICES);
  away = onShard(shardId);
  well = onShard(1 - shardId);
  expect([away.length, well.length]).toEqual([DEVICES, DEVICES]);
  await publishRounds(1, 1);
  await waitApplied([...away, ...well], 1);
};
const comeBack = (): void => {
  proxy.state.mute = false;
  proxy.state.refuse = false;
};
afterEach(async () => {
  comeBack();
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

/** What was stored of both sets of devices, and what must not have happened. */
const expectOnceEach = async (rounds: number): Promise<void> => {
  const devices = [...away, ...well];
  const batches = rounds * devices.length;
  expect({
    receipts: await count(devices, 'receipt'),
    records: await count(devices, 'record'),
    quarantined: await count(devices, 'quarantine'),
    retried: await worker.counter('pisync_worker_batches_total', {outcome: 'retried'}),
  }).toEqual({receipts: batches, records: batches * 2, quarantined: 0, retried: 0});
  const {parked, retry} = bench.names;
  for (const queue of [parked.queue(0), parked.queue(1), ...RETRY_RUNGS.map((rung) => retry.queue(rung))]) {
    expect({queue, messages: await bench.depth(queue)}).toEqual({queue, messages: 0});
  }
};

const requestSync = ({deviceId}: TestDevice): Promise<void> =>
  publishSyncRequest(bench.publisher, bench.names, {
    requestId: randomUUID(),
    deviceId,
    timestamp: new Date().toISOString(),
    syncType: 'full',
    priority: 'normal',
  });

/** One whose confirm comes late may be there twice. */
const waitRequests = (stored: number) =>
  until(
    `${stored} stored sync requests`,
    () => worker.counter('pisync_worker_sync_requests_total', {outcome: 'stored'}),
    (seen) => seen >= stored,
  );

const refuse = (): void => {
  proxy.state.refuse = true;
  proxy.cut();
};
const hang = (): void => {
  proxy.state.mute = true;
};

test.each([
  {shardId: 1, how: 'refuses connections', leave: refuse, noticedMs: 2_000},
  {shardId: 0, how: 'refuses connections', leave: refuse, noticedMs: 2_000},
  {shardId: 1, how: 'takes connections and never answers', leave: hang, noticedMs: 4_000},
])(
  'while shard $shardId $how the other goes on, and afterwards every batch is applied once without an attempt more',
  async ({shardId, leave, noticedMs}) => {
    await prepare(shardId);
    const rounds = BUNDLES / DEVICES;
    leave();
    await publishRounds(2, 1 + rounds);
    await waitApplied(well, 1 + rounds, noticedMs + SLACK_MS);
    expect(await positions(away)).toEqual(away.map(() => 1));
    expect(await worker.counter('pisync_worker_shard_away')).toBe(1);

    // Nothing is waited for any more.
    await publishRounds(2 + rounds, 2 + rounds);
    await waitApplied(well, 2 + rounds, SLACK_MS);

    const requested = [away[0], well[0]].filter((device) => device !== undefined);
    for (const device of requested) await requestSync(device);
    await waitRequests(1);

    comeBack();
    await waitApplied(away, 2 + rounds, 5_000 + SLACK_MS);
    await waitRequests(2);
    await until(
      'the last ack',
      () => worker.counter('pisync_worker_in_hand_age_seconds'),
      (seen) => seen === 0,
    );
    await expectOnceEach(2 + rounds);
    expect(await worker.counter('pisync_worker_shard_away')).toBe(0);
  },
);

test.each([
  {how: 'refuses connections', leave: refuse},
  {how: 'takes connections and never answers', leave: hang},
])('requests for a shard that $how hold up no others, and come back', async ({leave}) => {
  await prepare(1);
  const [gone] = away;
  const [other] = well;
  if (gone === undefined || other === undefined) throw new Error('there are devices');
  leave();
  // More than a worker takes in hand.
  await Promise.all(Array.from({length: REQUESTS}, () => requestSync(gone)));
  await requestSync(other);
  await waitRequests(1);
  comeBack();
  await waitRequests(REQUESTS + 1);
});

test('workers that come and go while a shard is away lose nothing of what they parked', async () => {
  await prepare(1);
  refuse();
  const rounds = BUNDLES / DEVICES;
  const publishing = publishRounds(2, 1 + rounds);
  await until(
    'the first parked batches',
    () => worker.counter('pisync_worker_batches_total', {outcome: 'parked'}),
    (seen) => seen > 0,
  );
  await worker.close();
  await publishing;
  worker = await bench.start({ports: new Map([[1, proxy.port]])});
  await waitApplied(well, 1 + rounds);
  comeBack();
  await waitApplied(away, 1 + rounds);
  await until(
    'the last ack',
    () => worker.counter('pisync_worker_in_hand_age_seconds'),
    (seen) => seen === 0,
  );
  await expectOnceEach(1 + rounds);
});

test.each([
  {how: 'refuses connections', leave: refuse},
  {how: 'takes connections and never answers', leave: hang},
])('a worker that starts while shard 0 $how applies the batches of the other one', async ({leave}) => {
  await prepare(0);
  leave();
  await worker.close();
  worker = await bench.start({ports: new Map([[0, proxy.port]]), savedSlotMap: true});
  const rounds = BUNDLES / DEVICES;
  await publishRounds(2, 1 + rounds);
  await waitApplied(well, 1 + rounds, 4_000 + SLACK_MS);
  expect(await positions(away)).toEqual(away.map(() => 1));
  comeBack();
  await waitApplied(away, 1 + rounds, 5_000 + SLACK_MS);
  await until(
    'the last ack',
    () => worker.counter('pisync_worker_in_hand_age_seconds'),
    (seen) => seen === 0,
  );
  await expectOnceEach(1 + rounds);
});

test('a table that somebody locks holds up its shard alone, and no batch has an attempt more', async () => {
  await prepare(1);
  const person = new pg.Client(bench.shards.target(1));
  await person.connect();
  await person.query('begin; lock table receipt in access exclusive mode');
  const rounds = BUNDLES / DEVICES;
  await publishRounds(2, 1 + rounds);
  await waitApplied(well, 1 + rounds, 2_000 + SLACK_MS);
  expect(await worker.counter('pisync_worker_shard_away')).toBe(1);
  await person.end();
  await waitApplied(away, 1 + rounds, 5_000 + SLACK_MS);
  await until(
    'the last ack',
    () => worker.counter('pisync_worker_in_hand_age_seconds'),
    (seen) => seen === 0,
  );
  await expectOnceEach(1 + rounds);
});

test('a shard that needs seconds for a transaction holds up no other, and its batches are applied once each', async () => {
  await prepare(1);
  const shard = bench.shards.shards.pool(1, 'job');
  await shard.query(
    `create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(2.5); return null; end $$;
     create trigger dawdle before insert on receipt for each statement execute function dawdle()`,
  );
  const rounds = BUNDLES / DEVICES;
  await publishRounds(2, 1 + rounds);
  // Two transactions have to wait for two seconds each.
  await waitApplied(well, 1 + rounds, 4_000 + SLACK_MS);
  // Some ten transactions, and the first have to be given up before longer ones are tried.
  await waitApplied(away, 1 + rounds, 60_000);
  await shard.query('drop trigger dawdle on receipt');
  await until(
    'the last ack',
    () => worker.counter('pisync_worker_in_hand_age_seconds'),
    (seen) => seen === 0,
  );
  await expectOnceEach(1 + rounds);
});

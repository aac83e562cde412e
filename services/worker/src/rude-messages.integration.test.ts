import {randomUUID} from 'node:crypto';
import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {BUNDLE_MEDIA_TYPE, encodeBundle} from '@pisync/core/broker/bundle';
import {RETRY_RUNGS} from '@pisync/core/broker/names';
import {publishSuspect} from '@pisync/core/broker/retry';
import {publishSyncRequest} from '@pisync/core/broker/sync-request';
import {listOpenCommands} from '@pisync/core/commands/commands';
import {findPosition} from '@pisync/core/devices/position';
import {until} from '@pisync/core/testing/until';
import pg from 'pg';
import {batchOf, enrolDevices, itemOf, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type RunningWorker, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(120_000);

let bench: WorkerBench;
let worker: RunningWorker | undefined;
beforeAll(async () => {
  bench = await openWorkerBench();
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(() => bench.close());

/** Of one partition, as a bundle's batches are. */
const someDevices = async (count: number): Promise<readonly TestDevice[]> => {
  const devices = await enrolDevices(bench.shards.shards, count * PARTITIONS * 4);
  const found = devices.filter(({slot}) => slot % PARTITIONS === 0).slice(0, count);
  expect(found).toHaveLength(count);
  return found;
};

const publish = (content: Buffer): Promise<void> =>
  bench.publisher.publish({
    exchange: bench.names.batches.exchange,
    routingKey: bench.names.batches.routingKey(0, 'normal'),
    content,
    contentType: BUNDLE_MEDIA_TYPE,
  });

const waitApplied = (devices: readonly TestDevice[], through: number) =>
  until(
    `batch ${through} of ${devices.length} devices`,
    () => Promise.all(devices.map((device) => findPosition(bench.shards.shards, device, 1))),
    (seen) => seen.every((position) => position?.appliedThrough === through),
  );

const kept = async (pattern: string): Promise<readonly {readonly reason: string; readonly payload: Buffer}[]> => {
  const found = await bench.shards.shards.control('job').query<{
    reason: string;
    payload: Buffer;
  }>('select reason, payload from control.unreadable_message where reason like $1', [pattern]);
  return found.rows;
};

const waitKept = (pattern: string) =>
  until(
    `what is kept because ${pattern}`,
    () => kept(pattern),
    (seen) => seen.length > 0,
  );

test('an item that nobody can read is kept, and the others of its bundle are applied', async () => {
  const [good, bad, other] = await someDevices(3);
  if (good === undefined || bad === undefined || other === undefined) throw new Error('there are three');
  const [first, wrong, last] = [good, bad, other].map((device) => itemOf(batchOf({device, batchSeq: 1})));
  if (first === undefined || wrong === undefined || last === undefined) throw new Error('there are three');
  await publish(encodeBundle([first, {...wrong, meta: {...wrong.meta, slot: 1024}}, last]));
  worker = await bench.start();
  await waitApplied([good, other], 1);
  const [row] = await waitKept('%item of a bundle%');
  expect(row?.payload.subarray(-wrong.payload.length)).toEqual(wrong.payload);
  expect(row?.payload.toString()).toContain(bad.deviceId);
  await until(
    'the ack',
    () => bench.depth(bench.names.batches.queue(0, 'normal')),
    (seen) => seen === 0,
  );
});

test('a bundle of a newer release waits on the first rung and is not given up', async () => {
  const header = Buffer.from('{"v":2,"items":[{"anything":true}]}');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length);
  worker = await bench.start();
  await publish(Buffer.concat([length, header]));
  const rung = bench.names.retry.queue(RETRY_RUNGS[0]);
  const waits = (seen: number) =>
    until(
      `${seen} on the first rung`,
      () => bench.depth(rung),
      (depth) => depth === seen,
    );
  // It comes back, and waits again.
  await waits(1);
  await waits(0);
  await waits(1);
  expect(await worker.counter('pisync_worker_quarantined_total')).toBe(0);
  const channel = await (await worker.connection.ready()).createChannel();
  await channel.purgeQueue(rung);
  await channel.close();
});

test('what came back often is worked on alone, and applied where nothing is wrong with it', async () => {
  const devices = await someDevices(4);
  const queue = bench.names.batches.queue(0, 'normal');
  // Queues exist once a worker has declared them.
  await (await bench.start()).close();
  const channel = await (await bench.connect()).createChannel();
  const seen = await channel.assertQueue('', {exclusive: true});
  await channel.bindQueue(seen.queue, bench.names.suspects.exchange, '');
  await publish(encodeBundle(devices.map((device) => itemOf(batchOf({device, batchSeq: 1})))));
  await bench.die(queue, 3);
  worker = await bench.start();
  await waitApplied(devices, 1);
  expect((await channel.checkQueue(seen.queue)).messageCount).toBe(devices.length);
  await channel.close();
  expect(await kept('%ended%')).toEqual([]);
  expect(await bench.depth(bench.names.suspects.queue)).toBe(0);
});

test('only what ended the process with nothing else at work is set aside', async () => {
  const [innocent, culprit] = await someDevices(2);
  if (innocent === undefined || culprit === undefined) throw new Error('there are two');
  const {publisher, names} = bench;
  const deadly = encodeBundle([itemOf(batchOf({device: culprit, batchSeq: 1}))]);
  const resent = {routingKey: names.batches.routingKey(0, 'normal'), attempt: 0};
  // A queue exists once a worker has declared it.
  await (await bench.start()).close();
  await publishSuspect(publisher, names, {...resent, content: deadly});
  await bench.die(names.suspects.queue, 3);
  await publishSuspect(publisher, names, {
    ...resent,
    content: encodeBundle([itemOf(batchOf({device: innocent, batchSeq: 1}))]),
  });
  worker = await bench.start();
  await waitApplied([innocent], 1);
  expect((await waitKept('%ended%')).map(({payload}) => payload)).toEqual([deadly]);
  expect((await findPosition(bench.shards.shards, culprit, 1))?.appliedThrough).toBe(0);
});

const requestSync = (deviceId: string, requestId: string = randomUUID()): Promise<void> =>
  publishSyncRequest(bench.publisher, bench.names, {
    ...{requestId, deviceId, timestamp: new Date().toISOString(), syncType: 'full', priority: 'normal'},
  });

test('a request whose command somebody holds waits, and those of others are stored', async () => {
  const {shards} = bench.shards;
  const devices = (await someDevices(24)).filter(({slot}) => shards.slotMap.shardOf(slot) === 0);
  const [held, other] = devices;
  if (held === undefined || other === undefined) throw new Error('the shard has too few devices');
  const running = (worker = await bench.start());
  const stored = (count: number) =>
    until(
      `${count} stored requests`,
      () => running.counter('pisync_worker_sync_requests_total', {outcome: 'stored'}),
      (seen) => seen === count,
    );
  await requestSync(held.deviceId);
  await stored(1);
  const person = new pg.Client(bench.shards.target(0));
  await person.connect();
  await person.query('begin');
  await person.query('select from device_command where device_key = $1 for update', [held.deviceKey]);
  await requestSync(held.deviceId);
  await requestSync(other.deviceId);
  await stored(2);
  expect(await listOpenCommands(shards, other, 10)).toHaveLength(1);
  await person.end();
  await stored(3);
});

test('a request for a device that is not enrolled is kept for a person', async () => {
  const [requestId, deviceId] = [randomUUID(), randomUUID()];
  worker = await bench.start();
  await requestSync(deviceId, requestId);
  const [row] = await waitKept(`%${requestId}%`);
  expect(row?.reason).toContain(deviceId);
  expect(row?.payload.toString()).toContain(requestId);
});

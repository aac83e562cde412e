import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {RETRY_RUNGS} from '@pisync/core/broker/names';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {serverAddress} from '@pisync/core/testing/server-address';
import {until} from '@pisync/core/testing/until';
import {batchOf, enrolDevices} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type RunningWorker, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(120_000);

/** Later than a device is kept waiting. */
const LATE_MS = 6_000;

let bench: WorkerBench;
let proxy: MuteProxy;
let worker: RunningWorker;
beforeAll(async () => {
  bench = await openWorkerBench();
  proxy = await openMuteProxy(serverAddress('PISYNC_TEST_AMQP_URL'));
  worker = await bench.start({publishPort: proxy.port});
});
afterAll(async () => {
  proxy.cut();
  await worker.close();
  proxy.close();
  await bench.close();
});

test('a refused batch is once on the ladder while the broker confirms late', async () => {
  const [device] = await enrolDevices(bench.shards.shards, 1);
  if (device === undefined) throw new Error('there is one');
  proxy.state.lateMs = LATE_MS;
  // The shard knows no such device.
  const batch = batchOf({device: {...device, deviceKey: device.deviceKey + 77}, batchSeq: 1});
  await bench.publish([batch]);
  await until(
    'the confirms of two rungs',
    () => worker.counter('pisync_worker_batches_total', {outcome: 'retried'}),
    (seen) => seen === 2,
    // Each rung has a channel of its own, and the broker is as late when it is opened.
    90_000,
  );
  const [first, second] = RETRY_RUNGS.map((rung) => bench.names.retry.queue(rung));
  const waiting = [bench.names.batches.queue(batch.slot % PARTITIONS, 'normal'), first ?? '', second ?? ''];
  expect(await Promise.all(waiting.map((queue) => bench.depth(queue)))).toEqual([0, 0, 1]);
});

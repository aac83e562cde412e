import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {publishParked} from '@pisync/core/broker/retry';
import {encodeBundle} from '@pisync/core/broker/bundle';
import {partitionOf} from '@pisync/core/broker/names';
import {findPosition} from '@pisync/core/devices/position';
import {serverAddress} from '@pisync/core/testing/server-address';
import {freePort, startProcess} from '@pisync/core/testing/service-process';
import {until} from '@pisync/core/testing/until';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {batchOf, enrolDevices, itemOf} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type WorkerBench} from './testing/test-worker.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(120_000);

let bench: WorkerBench;
let folder: string;
beforeAll(async () => {
  bench = await openWorkerBench();
  folder = await mkdtemp(join(tmpdir(), 'pisync-worker-'));
});
afterAll(async () => {
  await bench.close();
  await rm(folder, {recursive: true});
});

/** Lists the first shards of the region as admitted. */
const admit = async (count: number): Promise<void> => {
  const [amqp, redis] = [serverAddress('PISYNC_TEST_AMQP_URL'), serverAddress('PISYNC_TEST_REDIS_URL')];
  const {topology} = bench.shards;
  const text = JSON.stringify({
    ...topology,
    shards: topology.shards.slice(0, count),
    broker: {host: amqp.hostname, port: Number(amqp.port), vhost: '/', partitions: PARTITIONS, replicas: 1},
    redis: {host: redis.hostname, port: Number(redis.port)},
  });
  await writeFile(join(folder, 'topology.json'), text);
};

const mountBroker = async (): Promise<void> => {
  const {username, password} = serverAddress('PISYNC_TEST_AMQP_URL');
  await mkdir(join(bench.shards.secretsDir, 'rabbitmq'), {recursive: true});
  for (const [key, value] of Object.entries({username, password})) {
    await writeFile(join(bench.shards.secretsDir, 'rabbitmq', key), decodeURIComponent(value));
  }
};

test('a worker serves a shard that is admitted while it runs, and no restart is needed', async () => {
  await Promise.all([admit(1), mountBroker()]);
  const opsPort = await freePort();
  const worker = startProcess(new URL('./main.ts', import.meta.url), {
    PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
    PISYNC_SECRETS_DIR: bench.shards.secretsDir,
    PISYNC_OPS_PORT: String(opsPort),
    PISYNC_BROKER_PREFIX: bench.prefix,
  });
  let code: number | null = null;
  try {
    await worker.ready(opsPort);
    const [old, joined] = [0, 1].map((id) => bench.names.parked.queue(id));
    if (old === undefined || joined === undefined) throw new Error('there are two shards');
    await until(
      'the lane of shard 0',
      () => bench.consumers(old),
      (count) => count === 1,
    );
    expect(await bench.consumers(joined)).toBe(0);
    await admit(2);
    await until(
      'the lane of shard 1',
      () => bench.consumers(joined),
      (count) => count === 1,
    );

    const devices = await enrolDevices(bench.shards.shards, 16);
    const device = devices.find(({deviceId}) => bench.shards.shards.shardOfDevice(deviceId) === 1);
    if (device === undefined) throw new Error('no device is on shard 1');
    // As another worker parks it, for which the shard is away.
    const routingKey = bench.names.batches.routingKey(partitionOf(device.slot, PARTITIONS), 'normal');
    const content = encodeBundle([itemOf(batchOf({device, batchSeq: 1}))]);
    await publishParked(bench.publisher, bench.names, {routingKey, content, attempt: 0}, 1);
    await until(
      'the batch',
      async () => (await findPosition(bench.shards.shards, device, 1))?.appliedThrough,
      (through) => through === 1,
    );
    expect(worker.child.exitCode).toBeNull();
  } finally {
    code = await worker.stop();
  }
  expect({code, output: code === 0 ? '' : worker.output()}).toEqual({code: 0, output: ''});
});

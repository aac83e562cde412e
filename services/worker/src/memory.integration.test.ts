import {createHash} from 'node:crypto';
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {assertParkedQueue} from '@pisync/core/broker/broker-topology';
import {findPosition} from '@pisync/core/devices/position';
import {serverAddress} from '@pisync/core/testing/server-address';
import {freePort, startProcess} from '@pisync/core/testing/service-process';
import {until} from '@pisync/core/testing/until';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {type Batch} from './apply/batch.ts';
import {batchOf, enrolDevices, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(300_000);

/** Of a pod, as the operator makes it by default (operator/src/api/v1alpha1/tiers.ts). */
const POD_BYTES = 512 * 2 ** 20;
/** What node makes of such a limit, which it finds in the control group of a pod. */
const NODE_OPTIONS = '--max-old-space-size=256 --max-semi-space-size=1';
/** What device-api lets in of one batch (device-api/src/policy.ts). */
const BODY_BYTES = 2 ** 20;
/** More than a worker takes in hand of a priority. */
const BUNDLES = 70;
/** As many as make the most parked bundles that a worker takes in hand. */
const SHARDS = 8;
/** Of each shard. */
const PARKED = 8;
/** For servers that others also use. */
const WAIT_MS = 120_000;

let bench: WorkerBench;
let folder: string;
beforeAll(async () => {
  bench = await openWorkerBench(SHARDS);
  folder = await mkdtemp(join(tmpdir(), 'pisync-worker-'));
  const [amqp, redis] = [serverAddress('PISYNC_TEST_AMQP_URL'), serverAddress('PISYNC_TEST_REDIS_URL')];
  const broker = {host: amqp.hostname, port: Number(amqp.port), vhost: '/', partitions: PARTITIONS, replicas: 1};
  const topology = {...bench.shards.topology, broker, redis: {host: redis.hostname, port: Number(redis.port)}};
  await writeFile(join(folder, 'topology.json'), JSON.stringify(topology));
  await mkdir(join(bench.shards.secretsDir, 'rabbitmq'), {recursive: true});
  for (const [key, value] of Object.entries({username: amqp.username, password: amqp.password}))
    await writeFile(join(bench.shards.secretsDir, 'rabbitmq', key), decodeURIComponent(value));
});
afterAll(async () => {
  await bench.close();
  await rm(folder, {recursive: true});
});

/** Nothing takes more memory when it is read: 200,000 numbers of 22 characters each. */
const largest = (device: TestDevice, batchSeq: number): Batch => {
  const [head, tail] = [`{"epoch":"e1","batchSeq":${batchSeq},"records":[{"s":${batchSeq},"k":"n","d":[1`, ']}]}'];
  const numbers = ',1e20'.repeat(Math.floor((BODY_BYTES - head.length - tail.length) / 5));
  const payload = Buffer.from(`${head}${numbers}${tail}`);
  return {
    ...batchOf({device, batchSeq, records: [{s: batchSeq, k: 'n'}]}),
    payload,
    contentHash: createHash('sha256').update(payload).digest(),
  };
};

test('a worker with all its hands full of the largest bundles, which wait and are parked and applied, needs four fifths of its pod', async () => {
  const {shards} = bench.shards;
  const enrolled = await enrolDevices(shards, 100);
  // One of each shard, and half of them of each partition.
  const placed = enrolled.map((one) => [shards.slotMap.shardOf(one.slot), one] as const);
  const devices = [...new Map(placed.filter(([id, {slot}]) => id % PARTITIONS === slot % PARTITIONS)).values()];
  expect(devices).toHaveLength(SHARDS);
  const sent = new Map(devices.map(({deviceId}) => [deviceId, 0]));
  const next = (device: TestDevice): Batch => {
    const batchSeq = (sent.get(device.deviceId) ?? 0) + 1;
    sent.set(device.deviceId, batchSeq);
    return largest(device, batchSeq);
  };
  const locks: pg.Client[] = [];
  for (const shardId of shards.ids()) {
    const person = new pg.Client(bench.shards.target(shardId));
    await person.connect();
    await person.query('begin; lock table receipt in access exclusive mode');
    locks.push(person);
  }
  const channel = await (await bench.connect()).createChannel();
  for (const device of devices) {
    const shardId = shards.slotMap.shardOf(device.slot);
    await assertParkedQueue(channel, bench.names, shardId);
    for (let count = 0; count < PARKED; count++) await bench.park(shardId, [next(device)]);
  }
  for (const priority of ['high', 'normal'] as const)
    for (let count = 0; count < BUNDLES; count++) {
      const device = devices[count % devices.length];
      if (device !== undefined) await bench.publish([next(device)], priority);
    }
  await channel.close();
  const opsPort = await freePort();
  const worker = startProcess(new URL('./main.ts', import.meta.url), {
    PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
    PISYNC_SECRETS_DIR: bench.shards.secretsDir,
    PISYNC_OPS_PORT: String(opsPort),
    PISYNC_BROKER_PREFIX: bench.prefix,
    PISYNC_WORKER_CONCURRENCY: '8',
    NODE_OPTIONS,
  });
  try {
    await worker.ready(opsPort);
    const memory = async (): Promise<number> => {
      const status = await readFile(`/proc/${worker.child.pid}/status`, 'utf8');
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    };
    const parkedAway = async (): Promise<number> => {
      const depths = await Promise.all(shards.ids().map((id) => bench.depth(bench.names.parked.queue(id))));
      return depths.reduce((a, b) => a + b);
    };
    await until('all to be parked', parkedAway, (seen) => seen >= 2 * BUNDLES, WAIT_MS);
    for (const person of locks) await person.query('rollback');
    for (const device of devices) {
      await until(
        'some to be applied',
        async () => (await findPosition(shards, device, 1))?.appliedThrough ?? 0,
        (through) => through >= PARKED / 2,
        WAIT_MS,
      );
    }
    expect(await memory()).toBeLessThan((POD_BYTES * 4) / 5);
  } finally {
    await worker.stop();
    for (const person of locks) await person.end();
  }
});

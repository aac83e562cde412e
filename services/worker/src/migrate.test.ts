import {type Topology} from '@pisync/contract/topology';
import {createLogger} from '@pisync/core/telemetry/logger';
import {expect, test} from '@jest/globals';
import {runMigration} from './migrate.ts';

/** Nothing listens there. */
const shard = (id: number) => ({id, rw: {host: '127.0.0.1', port: 1}, database: 'pisync'});

const topology: Topology = {
  region: 'eu-west',
  name: 'eu',
  shards: [shard(0)],
  joining: [shard(1)],
  broker: {host: 'x', port: 1, vhost: '/', partitions: 1, replicas: 1},
  redis: {host: 'x', port: 1},
  capacity: {devices: 1, syncWindow: {start: '00:00', durationMinutes: 60}},
  retention: {recordDays: 1, receiptDays: 7, quarantineDays: 1},
};

const migrate = (shardId: number, deadlineMs: number, current = () => topology): Promise<void> =>
  runMigration({
    shardId,
    slotMapFile: '/no/such/slot-map.json',
    topology: current,
    secrets: {read: () => Promise.resolve('x'), readNow: () => 'x'},
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    now: Date.now,
    deadlineMs,
  });

test('a shard that is joining is migrated, one that nobody declared is not', async () => {
  await expect(migrate(1, -1)).rejects.toMatchObject({code: 'shard-unavailable'});
  await expect(migrate(2, -1)).rejects.toMatchObject({code: 'config-invalid'});
});

test('a pod that is older than the topology waits until its file follows', async () => {
  let reads = 0;
  const current = (): Topology => (reads++ === 0 ? {...topology, joining: []} : topology);
  await expect(migrate(1, 1_000, current)).rejects.toMatchObject({code: 'shard-unavailable'});
  expect(reads).toBe(2);
});

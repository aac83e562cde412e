import {mkdir, mkdtemp, rename, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from '@jest/globals';
import type {Topology} from '@pisync/contract/topology';
import {openTopologyFile} from './topology-file.ts';

const topologyOf = (partitions: number): Topology => ({
  region: 'eu',
  name: 'eu',
  shards: [{id: 0, rw: {host: 'pg', port: 5432}, database: 'pisync'}],
  joining: [],
  broker: {host: 'mq', port: 5672, vhost: '/', partitions, replicas: 1},
  redis: {host: 'redis', port: 6379},
  capacity: {devices: 1, syncWindow: {start: '02:00', durationMinutes: 60}},
  retention: {recordDays: 1, receiptDays: 7, quarantineDays: 1},
});

test('a ConfigMap mount that swaps its symlink is followed, and a broken one leaves the last good topology', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'topology-'));
  // As the kubelet does it: a new folder, and `..data` renamed onto it.
  const publish = async (version: string, text: string): Promise<void> => {
    await mkdir(join(dir, version));
    await writeFile(join(dir, version, 'topology.json'), text);
    await symlink(version, join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  await publish('v1', JSON.stringify(topologyOf(1)));
  await symlink(join('..data', 'topology.json'), join(dir, 'topology.json'));
  const problem = Promise.withResolvers<string>();
  const file = await openTopologyFile({
    path: join(dir, 'topology.json'),
    onProblem: (error) => problem.resolve(error.message),
    intervalMs: 5,
  });
  try {
    const changed = new Promise<number[]>((resolve) => {
      file.onChange((next, previous) => resolve([previous.broker.partitions, next.broker.partitions]));
    });
    await publish('v2', JSON.stringify(topologyOf(2)));
    expect(await changed).toEqual([1, 2]);
    await publish('v3', '{"region":""}');
    expect(await problem.promise).toMatch(/topology.json is wrong: region/);
    expect(file.current().broker.partitions).toBe(2);
  } finally {
    file.stop();
    await rm(dir, {recursive: true});
  }
});

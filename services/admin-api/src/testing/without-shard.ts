import {openShards, type Shards} from '@pisync/core/shards/shards';
import type {TestShards} from '@pisync/core/testing/test-shards';
import {Registry} from 'prom-client';
import {silentLog} from './silent-log.ts';

/** The shards of a region whose shard 1 refuses connections. */
export const openWithoutShard1 = ({topology, secretsDir}: TestShards): Promise<Shards> => {
  const impaired = {
    ...topology,
    shards: topology.shards.map((shard) => (shard.id === 1 ? {...shard, rw: {host: '127.0.0.1', port: 1}} : shard)),
  };
  return openShards({
    topology: {current: () => impaired, onChange: () => () => undefined},
    secretsDir,
    applicationName: 'test-without-shard-1',
    log: silentLog,
    metrics: new Registry(),
    sizes: {ingest: 1, dashboard: 2, job: 1},
  });
};

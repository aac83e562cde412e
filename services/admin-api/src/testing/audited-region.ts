import {appendToChain, clearOutbox, readOutbox} from '@pisync/core/audit/chain';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {type SeededDevice, seedApiToken, seedDevices} from './seed.ts';
import {type Answer, startTestApi, type TestApi} from './test-api.ts';

/** A region of two shards whose audit a test reads, chains and damages. */
export interface AuditedRegion {
  readonly region: TestShards;
  readonly api: TestApi;
  /** An API token. */
  readonly admin: string;
  /** What the chain is signed with. */
  readonly key: string;
  deviceOn(shard: number): SeededDevice;
  /** Asks a device of the shard for a sync, which is told there. */
  askForSync(shard: number): Promise<Answer>;
  /** Appends what waits, the shards in their order, as the keeper does it. */
  chain(): Promise<void>;
  /** The audit begins anew. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

export const openAuditedRegion = async (): Promise<AuditedRegion> => {
  const key = 'the key of this test';
  const region = await createTestShards({shards: 2});
  const devices = await seedDevices(region.shards, 12);
  const admin = await seedApiToken(region.shards, 'admin');
  const api = await startTestApi({
    shards: region.shards,
    cache: {use: () => Promise.resolve(undefined)},
    publish: () => Promise.resolve(),
    auditKey: key,
  });
  const job = (shard: number) => region.shards.pool(shard, 'job');
  const deviceOn = (shard: number): SeededDevice => {
    const found = devices.find((device) => device.shard === shard);
    if (found === undefined) throw new Error(`no device is on shard ${shard}`);
    return found;
  };
  return {
    ...{region, api, admin, key, deviceOn},
    askForSync: (shard) =>
      api.call('POST', `/api/v1/devices/${deviceOn(shard).id}/sync`, {token: admin, body: {force: true}}),
    async chain() {
      for (const shard of region.shards.ids()) {
        const client = await job(shard).connect();
        const control = await region.shards.control('ingest').connect();
        const rows = await readOutbox(client, 1000);
        await appendToChain(control, {fence: () => Promise.resolve(), key, shard, rows});
        await clearOutbox(client, rows);
        control.release();
        client.release();
      }
    },
    async forget() {
      await job(0).query('truncate control.audit');
      await job(0).query(`update control.audit_head set seq = 0, mac = decode(repeat('00', 32), 'hex')`);
      for (const shard of region.shards.ids()) await job(shard).query('truncate audit_outbox, audit_counter');
    },
    async close() {
      await api.close();
      await region.close();
    },
  };
};

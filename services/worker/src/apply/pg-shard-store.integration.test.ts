import {afterAll, beforeAll} from '@jest/globals';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {enrolDevices} from '../testing/batches.ts';
import {describeShardStore} from '../testing/shard-store-contract.ts';
import {createPgShardStore} from './pg-shard-store.ts';

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

describeShardStore(() => ({
  store: createPgShardStore(bench.shards, Date.now),
  async enrol() {
    const [device] = await enrolDevices(bench.shards, 1);
    if (device === undefined) throw new Error('no device was enrolled');
    return device;
  },
}));

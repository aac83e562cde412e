import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {type SyncRequest} from '@pisync/core/broker/sync-request';
import {listOpenCommands} from '@pisync/core/commands/commands';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {enrolDevices} from '../testing/batches.ts';
import {storeRequests} from './store-requests.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const DAY_MS = 86_400_000;

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

test.each([
  ['before', true],
  ['after', false],
])(
  'a request is open for its device although one that waited for days comes right %s it',
  async (_when, isStaleFirst) => {
    const [device] = await enrolDevices(bench.shards, 1);
    if (device === undefined) throw new Error('no device was enrolled');
    const request = (ageMs: number, priority: SyncRequest['priority']): SyncRequest => ({
      ...{requestId: randomUUID(), deviceId: device.deviceId, syncType: 'delta', priority},
      timestamp: new Date(Date.now() - ageMs).toISOString(),
    });
    const [stale, fresh] = [request(3 * DAY_MS, 'high'), request(0, 'normal')];
    const both = isStaleFirst ? [stale, fresh] : [fresh, stale];
    const outcome = await storeRequests(bench.shards, 0, both, randomUUID, AbortSignal.timeout(30_000));
    expect(outcome.stored).toHaveLength(2);
    expect(await listOpenCommands(bench.shards, device, 10)).toMatchObject([
      {requestId: fresh.requestId, type: 'sync.delta', priority: 'high'},
    ]);
  },
);

import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {type DeviceStatus} from '@pisync/core/devices/device-status';
import {sweepStatuses} from '@pisync/core/devices/status-sweep';
import {dayOf, ensurePartitions} from '@pisync/core/shards/partitions';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import fc from 'fast-check';
import {v7 as uuidv7} from 'uuid';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {writeBatches} from './shard-writer.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const HOUR_MS = 3_600_000;
const START_MS = Date.now();
const MOST_STEPS = 10;

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
  // What is rejected goes into quarantine, on each of the days that may pass.
  const days = Array.from({length: MOST_STEPS * 4}, (_, day) => dayOf(START_MS + day * 24 * HOUR_MS));
  await ensurePartitions(bench.shards.pool(0, 'job'), days);
});
afterAll(() => bench.close());

/** Hours since the start. */
interface Seen {
  readonly status: DeviceStatus;
  readonly lastSyncAt: number | null;
  readonly checks: readonly number[];
}

const hours = (sql: string): string => `(extract(epoch from ${sql} - to_timestamp($2::float8 / 1000)) / 3600)::float8`;

const see = async ({deviceKey}: TestDevice): Promise<Seen | undefined> => {
  const found = await bench.shards.pool(0, 'job').query<Seen>(
    `select status, ${hours('last_sync_at')} as "lastSyncAt",
            array(select ${hours('check_at')} from device_check c where c.device_key = t.device_key) as checks
     from device_status t where device_key = $1`,
    [deviceKey, START_MS],
  );
  return found.rows[0];
};

const apply = async (device: TestDevice, batchSeq: number, sync: Sync, at: number): Promise<void> => {
  const batch = batchOf({
    device,
    batchSeq,
    receivedAtMs: START_MS + (at - sync.age) * HOUR_MS,
    receivedDay: dayOf(START_MS),
  });
  const options = {
    store: createPgShardStore(bench.shards, Date.now),
    now: () => START_MS + at * HOUR_MS,
    newId: () => uuidv7(),
  };
  const content = sync.rejected ? {kind: 'rejected' as const, reason: 'too strange'} : batch.content;
  await writeBatches(options, 0, [{...batch, content}]);
};

/** A batch that waited for so many hours. `skip`: the one before it comes later; `fill`: such a one. */
interface Sync {
  readonly kind: 'sync';
  readonly age: number;
  readonly rejected: boolean;
  readonly order: 'next' | 'skip' | 'fill';
}
type Step = Sync | {readonly kind: 'pass'; readonly hours: number} | {readonly kind: 'sweep'};

const byTime = (lastSync: number, at: number): DeviceStatus | undefined =>
  at - lastSync >= 72 ? 'silent' : at - lastSync >= 26 ? 'late' : undefined;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('sync' as const),
    age: fc.constantFrom(0, 1, 25, 27, 71, 73),
    rejected: fc.boolean(),
    order: fc.constantFrom('next' as const, 'skip' as const, 'fill' as const),
  }),
  fc.record({kind: fc.constant('pass' as const), hours: fc.constantFrom(1, 10, 25, 27, 50, 73)}),
  fc.constant({kind: 'sweep' as const}),
);

test('whatever comes when: a status follows the last sync, and there is one check where time may change it, in time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {minLength: 1, maxLength: MOST_STEPS}), async (steps) => {
      const [device] = await enrolDevices(bench.shards, 1);
      if (device === undefined) throw new Error('no device was enrolled');
      let at = 0;
      let highest = 0;
      const skipped: number[] = [];
      let lastSync: number | undefined;
      // Of a device whose last sync is not too long ago.
      let recent: DeviceStatus = 'pending';
      for (const one of [...steps, {kind: 'sweep' as const}]) {
        if (one.kind === 'pass') at += one.hours;
        if (one.kind === 'sync') {
          const before = await see(device);
          if (one.order === 'skip') skipped.push(++highest);
          const filled = one.order === 'fill' ? skipped.shift() : undefined;
          await apply(device, filled ?? ++highest, one, at);
          lastSync = Math.max(lastSync ?? -Infinity, at - one.age);
          const hadSynced = before?.status === 'on_time' || before?.status === 'failing';
          if (one.age < 26 && (filled === undefined || !hadSynced)) recent = one.rejected ? 'failing' : 'on_time';
          if (one.age < 26) expect(await see(device)).toMatchObject({status: recent, lastSyncAt: null});
        }
        if (one.kind === 'sweep')
          await sweepStatuses(bench.shards, 0, {nowMs: START_MS + at * HOUR_MS, fence: () => Promise.resolve()});
        const seen = await see(device);
        if (seen === undefined) throw new Error('the device has no status');
        const isHeldByTime = ['on_time', 'failing', 'late'].includes(seen.status);
        expect(seen.checks).toHaveLength(isHeldByTime ? 1 : 0);
        if (isHeldByTime)
          expect(seen.checks[0]).toBeLessThanOrEqual((lastSync ?? NaN) + (seen.status === 'late' ? 72 : 26));
        if (one.kind === 'pass') continue;
        if (one.kind === 'sweep' && lastSync !== undefined) {
          const due = byTime(lastSync, at);
          expect(seen).toMatchObject({
            status: due ?? recent,
            lastSyncAt: due === undefined ? null : lastSync,
          });
        }
      }
    }),
    {numRuns: 100},
  );
});

import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {type DeviceStatus} from '@pisync/core/devices/device-status';
import {touchLastSeen} from '@pisync/core/devices/last-seen';
import {sweepStatuses} from '@pisync/core/devices/status-sweep';
import {dayOf} from '@pisync/core/shards/partitions';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import fc from 'fast-check';
import {v7 as uuidv7} from 'uuid';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {writeBatches} from './shard-writer.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

const HOUR_MS = 3_600_000;
const MOST_STEPS = 10;

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

/** Hours since the start. */
interface Seen {
  readonly status: DeviceStatus;
  readonly lastSeenAt: number | null;
  readonly checks: readonly number[];
}

/** SQL: hours since the start, $2 of which have passed. A test takes seconds. */
const hours = (sql: string): string => `(round(extract(epoch from ${sql} - now()) / 3600) + $2)::float8`;

const see = async ({deviceKey}: TestDevice, at: number): Promise<Seen | undefined> => {
  const found = await bench.shards.pool(0, 'job').query<Seen>(
    `select status, ${hours('last_seen_at')} as "lastSeenAt",
            array(select ${hours('check_at')} from device_check c where c.device_key = t.device_key) as checks
     from device_status t where device_key = $1`,
    [deviceKey, at],
  );
  return found.rows[0];
};

const apply = async (device: TestDevice, batchSeq: number, sync: Sync): Promise<void> => {
  const batch = batchOf({
    device,
    batchSeq,
    receivedAtMs: Date.now() - sync.age * HOUR_MS,
    receivedDay: dayOf(Date.now()),
  });
  const options = {
    store: createPgShardStore(bench.shards, Date.now),
    now: Date.now,
    newId: () => uuidv7(),
  };
  const content = sync.rejected ? {kind: 'rejected' as const, reason: 'too strange'} : batch.content;
  await writeBatches(options, 0, [{...batch, content}]);
};

const heartbeat = async ({deviceKey, slot}: TestDevice, age: number): Promise<void> => {
  const seenAtMs = Date.now() - age * HOUR_MS;
  expect(await touchLastSeen(bench.shards, [{deviceKey, slot, seenAtMs}])).toEqual([]);
};

/** Statuses go by the shard's clock, which nobody moves: what it knows of the device becomes older. */
const pass = async ({deviceKey}: TestDevice, passed: number): Promise<void> => {
  await bench.shards.pool(0, 'job').query(
    `with c as (update device_check set check_at = check_at - $2 * interval '1 h' where device_key = $1),
          t as (update device_status set last_seen_at = last_seen_at - $2 * interval '1 h' where device_key = $1 and last_seen_at is not null)
     update device_state set last_sync_at = last_sync_at - $2 * interval '1 h', last_seen_at = last_seen_at - $2 * interval '1 h'
     where device_key = $1`,
    [deviceKey, passed],
  );
};

const sweep = (): Promise<unknown> => sweepStatuses(bench.shards.pool(0, 'job'), {fence: () => Promise.resolve()});

/** A batch that waited for so many hours. `skip`: the one before it comes later; `fill`: such a one. */
interface Sync {
  readonly kind: 'sync';
  readonly age: number;
  readonly rejected: boolean;
  readonly order: 'next' | 'skip' | 'fill';
}
type Step =
  | Sync
  /** One that waited because its shard was away. */
  | {readonly kind: 'heartbeat'; readonly age: number}
  | {readonly kind: 'pass'; readonly hours: number}
  | {readonly kind: 'sweep'};

const age = fc.constantFrom(0, 1, 25, 27, 71, 73);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('sync' as const),
    age,
    rejected: fc.boolean(),
    order: fc.constantFrom('next' as const, 'skip' as const, 'fill' as const),
  }),
  fc.record({kind: fc.constant('heartbeat' as const), age}),
  fc.record({kind: fc.constant('pass' as const), hours: fc.constantFrom(1, 10, 25, 27, 50, 73)}),
  fc.constant({kind: 'sweep' as const}),
);

/** What a device's status should be, by what came. */
class Expected {
  #at = 0;
  #highest = 0;
  #lastSeen = -Infinity;
  #isFailing = false;
  #shown: DeviceStatus = 'pending';

  sync(at: number, {age: waited, rejected}: Sync, batchSeq: number): void {
    if (batchSeq > this.#highest) this.#isFailing = rejected;
    this.#highest = Math.max(this.#highest, batchSeq);
    this.#called(at, waited);
    // Time makes nobody late but in a sweep.
    this.#shown = ['on_time', 'failing'].includes(this.#shown) ? this.#recent() : this.#byTime();
  }

  heartbeat(at: number, waited: number): void {
    this.#called(at, waited);
    if (['late', 'silent'].includes(this.#shown)) this.#shown = this.#byTime();
  }

  sweep(at: number): void {
    this.#at = at;
    if (this.#shown !== 'pending') this.#shown = this.#byTime();
  }

  get status(): DeviceStatus {
    return this.#shown;
  }

  /** What is kept with the status. */
  get lastSeenAt(): number | null {
    return ['late', 'silent'].includes(this.#shown) ? this.#lastSeen : null;
  }

  /** The time by which there has to be a check; null: there is none. */
  get checkBy(): number | null {
    if (this.#shown === 'pending' || this.#shown === 'silent') return null;
    return this.#lastSeen + (this.#shown === 'late' ? 72 : 26);
  }

  #called(at: number, waited: number): void {
    this.#at = at;
    this.#lastSeen = Math.max(this.#lastSeen, at - waited);
  }

  #recent(): DeviceStatus {
    return this.#isFailing ? 'failing' : 'on_time';
  }

  #byTime(): DeviceStatus {
    const age = this.#at - this.#lastSeen;
    return age >= 72 ? 'silent' : age >= 26 ? 'late' : this.#recent();
  }
}

test('whatever comes when: a status follows the last sync or heartbeat, and there is one check where time may change it, in time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {minLength: 1, maxLength: MOST_STEPS}), async (steps) => {
      const [device] = await enrolDevices(bench.shards, 1);
      if (device === undefined) throw new Error('no device was enrolled');
      const expected = new Expected();
      let at = 0;
      let highest = 0;
      const skipped: number[] = [];
      for (const one of [...steps, {kind: 'sweep' as const}]) {
        switch (one.kind) {
          case 'pass':
            at += one.hours;
            await pass(device, one.hours);
            break;
          case 'sync': {
            if (one.order === 'skip') skipped.push(++highest);
            const batchSeq = (one.order === 'fill' ? skipped.shift() : undefined) ?? ++highest;
            await apply(device, batchSeq, one);
            expected.sync(at, one, batchSeq);
            break;
          }
          case 'heartbeat':
            await heartbeat(device, one.age);
            expected.heartbeat(at, one.age);
            break;
          case 'sweep':
            await sweep();
            expected.sweep(at);
        }
        const seen = await see(device, at);
        const {status, lastSeenAt, checkBy} = expected;
        expect(seen).toMatchObject({status, lastSeenAt});
        expect(seen?.checks).toHaveLength(checkBy === null ? 0 : 1);
        if (checkBy !== null) expect(seen?.checks[0]).toBeLessThanOrEqual(checkBy);
      }
    }),
    {numRuns: 150},
  );
});

const NEXT = {kind: 'sync', age: 0, rejected: false, order: 'next'} as const;

test('a device that has nothing to send stays on time by its heartbeats, and they write nothing of its status', async () => {
  const [device] = await enrolDevices(bench.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  const written = async () => {
    const {rows} = await bench.shards
      .pool(0, 'job')
      .query('select status, tx_id, ctid from device_status where device_key = $1', [device.deviceKey]);
    return rows[0] as {readonly status: string} | undefined;
  };
  await apply(device, 1, NEXT);
  const synced = await written();
  expect(synced?.status).toBe('on_time');
  for (let day = 1; day <= 10; day++) {
    await pass(device, 24);
    await sweep();
    await heartbeat(device, 0);
  }
  expect(await written()).toEqual(synced);
  await pass(device, 26);
  await sweep();
  expect((await written())?.status).toBe('late');
  await heartbeat(device, 0);
  const back = await written();
  expect(back?.status).toBe('on_time');
  await heartbeat(device, 0);
  expect(await written()).toEqual(back);
});

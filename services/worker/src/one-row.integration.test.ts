import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {RETRY_RUNGS} from '@pisync/core/broker/names';
import {findPosition} from '@pisync/core/devices/position';
import {until} from '@pisync/core/testing/until';
import pg from 'pg';
import {batchOf, enrolDevices, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type RunningWorker, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(120_000);

/** What the others may need on a busy machine, where a shard that counts as away would keep them for as long as the row is held. */
const SOON_MS = 8_000;
const SHARD = 0;

let bench: WorkerBench;
let worker: RunningWorker;
let victim: TestDevice;
let others: readonly TestDevice[];

beforeAll(async () => {
  bench = await openWorkerBench();
});
afterAll(() => bench.close());

/** A worker, and devices of one shard that have synced once. */
const prepare = async (): Promise<void> => {
  const {shards} = bench.shards;
  const devices = (await enrolDevices(shards, 60)).filter(
    ({slot}) => shards.slotMap.shardOf(slot) === SHARD && slot % PARTITIONS === 0,
  );
  const [first, ...rest] = devices;
  if (first === undefined || rest.length < 3) throw new Error('the shard has too few devices');
  victim = first;
  others = rest;
  worker = await bench.start();
  await publishAll(1);
  await waitApplied([victim, ...others], 1, SOON_MS);
};
afterEach(() => worker.close());

/** The victim's batch among those of the others, in one message. */
const publishAll = (batchSeq: number): Promise<void> =>
  bench.publish([...others, victim].map((device) => batchOf({device, batchSeq})));

const applied = async (device: TestDevice): Promise<number> =>
  (await findPosition(bench.shards.shards, device, 1))?.appliedThrough ?? -1;

const waitApplied = (devices: readonly TestDevice[], through: number, ms?: number) =>
  until(
    `batch ${through} of ${devices.length} devices`,
    () => Promise.all(devices.map(applied)),
    (seen) => seen.every((one) => one === through),
    ms,
  );

const parked = () => worker.counter('pisync_worker_batches_total', {outcome: 'parked'});
const away = () => worker.counter('pisync_worker_shard_away');
const kept = async (): Promise<number> => {
  const {rows} = await bench.shards.shards
    .pool(SHARD, 'job')
    .query<{count: number}>('select count(*) from quarantine where device_key = $1', [victim.deviceKey]);
  return rows[0]?.count ?? -1;
};

/** Holds the victim's row in a table, as a person in psql does, while the others sync three times more. */
const syncWhileHeld = async (table: string): Promise<void> => {
  const shard = bench.shards.shards.pool(SHARD, 'job');
  // So that the next sync writes each row: late since an hour, and to be silent in two days.
  await shard.query(
    `with late as (
       update device_status set status = 'late', last_seen_at = now() - interval '27 h' where device_key = $1 returning device_key, last_seen_at)
     update device_check c set check_at = late.last_seen_at + interval '72 h' from late where c.device_key = late.device_key`,
    [victim.deviceKey],
  );
  const person = new pg.Client(bench.shards.target(SHARD));
  await person.connect();
  try {
    await person.query('begin');
    const held = await person.query(`select from ${table} where device_key = $1 for update`, [victim.deviceKey]);
    expect(held.rowCount).toBe(1);
    for (const round of [2, 3, 4]) {
      await publishAll(round);
      await waitApplied(others, round, SOON_MS);
    }
    // Nothing that a batch has to know stands in a check.
    if (table === 'device_check') await waitApplied([victim], 4, SOON_MS);
    else expect(await applied(victim)).toBe(1);
    expect(await away()).toBe(0);
  } finally {
    await person.end();
  }
};

test.each(['device_state', 'device_status', 'device_shadow', 'device_check'])(
  'while somebody holds a row of one device in %s its shard goes on, and afterwards its batches are applied',
  async (table) => {
    await prepare();
    await syncWhileHeld(table);
    await waitApplied([victim], 4);
    expect({kept: await kept(), away: await away()}).toEqual({kept: 0, away: 0});
  },
);

test('a row of one device that cannot be written holds up no other, parked or not, and is never given up', async () => {
  await prepare();
  const shard = bench.shards.shards.pool(SHARD, 'job');
  await shard.query(
    `create function damage() returns trigger language plpgsql as
       $$ begin if new.device_key = ${victim.deviceKey} then raise exception 'invalid page in block 7' using errcode = 'XX001'; end if; return new; end $$;
     create trigger damage before insert on receipt for each row execute function damage()`,
  );
  await publishAll(2);
  await waitApplied(others, 2, SOON_MS);
  const first = await until(
    'the first rung',
    () => worker.counter('pisync_worker_batches_total', {outcome: 'retried'}),
    (seen) => seen > 0,
  );
  // As if the shard had been away.
  await bench.park(
    SHARD,
    [...others, victim].map((device) => batchOf({device, batchSeq: 3})),
  );
  await waitApplied(others, 3, SOON_MS);
  // As if it had been on every rung.
  await bench.publish([batchOf({device: victim, batchSeq: 4})], 'normal', RETRY_RUNGS.length);
  await until(
    'the last rung',
    () => bench.depth(bench.names.retry.queue(RETRY_RUNGS[3])),
    (seen) => seen === 1,
  );
  expect({
    first,
    applied: await applied(victim),
    kept: await kept(),
    parked: await parked(),
    away: await away(),
  }).toEqual({first: 1, applied: 1, kept: 0, parked: 0, away: 0});
  await shard.query('drop trigger damage on receipt');
  await waitApplied([victim], 3);
});

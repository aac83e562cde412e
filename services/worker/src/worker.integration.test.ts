import {randomUUID} from 'node:crypto';
import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {readPositionHint} from '@pisync/core/cache/position-hint';
import {CACHE_CHANNEL, cacheKey} from '@pisync/core/cache/cache-keys';
import {publishSyncRequest, type SyncRequest} from '@pisync/core/broker/sync-request';
import {listOpenCommands} from '@pisync/core/commands/commands';
import {findDevice} from '@pisync/core/queries/devices';
import {listReceiptsAfter} from '@pisync/core/receipts/receipts';
import {until} from '@pisync/core/testing/until';
import {type Batch} from './apply/batch.ts';
import {batchOf, enrolDevices, type TestDevice} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type RunningWorker, type WorkerBench} from './testing/test-worker.ts';

// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

let bench: WorkerBench;
beforeAll(async () => {
  bench = await openWorkerBench();
});
afterAll(() => bench.close());

afterEach(() => bench.stopWorkers());

/** Everything stored, over all shards and straight from the tables. */
const stored = async (devices: readonly TestDevice[]) => {
  const rows = await Promise.all(
    bench.shards.shards.ids().map((shard) =>
      bench.shards.shards.pool(shard, 'job').query<{records: number; distinct: number; receipts: number}>(
        `select (select count(*) from record where device_key = any($1)) as records,
                (select count(distinct (device_key, epoch, seq)) from record where device_key = any($1)) as distinct,
                (select count(*) from receipt where device_key = any($1)) as receipts`,
        [devices.map(({deviceKey}) => deviceKey)],
      ),
    ),
  );
  const sum = (key: 'records' | 'distinct' | 'receipts') =>
    rows.reduce((total, {rows: [row]}) => total + (row?.[key] ?? 0), 0);
  return {records: sum('records'), distinct: sum('distinct'), receipts: sum('receipts')};
};

const shuffled = <T>(items: readonly T[]): readonly T[] =>
  items
    .map((item) => ({item, order: Math.random()}))
    .sort((a, b) => a.order - b.order)
    .map(({item}) => item);

const publishAll = async (batches: readonly Batch[]): Promise<void> => {
  // A bundle holds one partition only.
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const mine = batches.filter(({slot}) => slot % PARTITIONS === partition);
    for (let at = 0; at < mine.length; at += 7) {
      await bench.publish(mine.slice(at, at + 7), at % 3 === 0 ? 'high' : 'normal');
    }
  }
};

test('two workers apply shuffled and doubled batches exactly once while their connections are cut', async () => {
  const devices = await enrolDevices(bench.shards.shards, 30);
  const batches = devices.flatMap((device) =>
    Array.from({length: 20}, (_, index) => batchOf({device, batchSeq: index + 1})),
  );
  const workers = [await bench.start(), await bench.start()];
  const publishing = publishAll(shuffled([...batches, ...shuffled(batches).slice(0, 200)]));
  for (let cut = 0; cut < 5; cut++) {
    await bench.shards.shards
      .control('job')
      .query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'test-worker/%'`);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  await publishing;
  for (const device of devices) await bench.waitApplied(device, 20);
  expect(await stored(devices)).toEqual({records: 1200, distinct: 1200, receipts: 600});
  for (const device of devices) {
    expect(await findDevice(bench.shards.shards, device.deviceId)).toMatchObject({
      recordsTotal: 40,
      syncsTotal: 20,
      status: 'on_time',
      state: {v: 20},
    });
  }
  const counts = await Promise.all(
    workers.map((worker) => worker.counter('pisync_worker_batches_total', {outcome: 'applied'})),
  );
  // A commit whose answer was cut off is counted as a duplicate by the attempt after it.
  expect(counts.reduce((a, b) => a + b)).toBeLessThanOrEqual(600);
});

test('after a commit the position is in the cache and viewers are told', async () => {
  const device = await bench.enrolOne();
  const messages: string[] = [];
  bench.cache.subscribe(CACHE_CHANNEL.live, (message) => messages.push(message));
  await bench.start();
  let batchSeq = 0;
  // The subscription begins at its own time, so batches are sent until one is heard of.
  await until(
    'a live message',
    async () => {
      await bench.publish([batchOf({device, batchSeq: ++batchSeq})]);
      await bench.waitApplied(device, batchSeq);
      return messages.filter((message) => message.includes(device.deviceId));
    },
    (seen) => seen.length > 0,
  );
  const hint = await until(
    'the hint',
    () => readPositionHint(bench.cache, device.deviceId),
    (seen) => seen?.applied?.through === batchSeq,
  );
  expect(hint?.applied).toEqual({epoch: 1, through: batchSeq});

  // Also when it comes again, because nobody may have been told the first time.
  const key = cacheKey.status(device.deviceId);
  const before = '{"shown":"as of before"}';
  await bench.cache.use((redis) => redis.set(key, before));
  await bench.publish([batchOf({device, batchSeq})]);
  await until(
    'the entry to be made invalid',
    () => bench.cache.use((redis) => redis.get(key)),
    (seen) => seen !== undefined && seen !== before,
  );
});

test('a worker that loses its channel between commit and ack applies nothing twice', async () => {
  const device = await bench.enrolOne();
  let cuts = 0;
  // Announcing comes after the commit and before the ack.
  const worker: RunningWorker = await bench.start({
    cache: {
      async use() {
        if (cuts++ === 0) await (await worker.connection.ready()).close();
        return undefined;
      },
      trouble: () => undefined,
      subscribe: () => undefined,
      close: () => Promise.resolve(),
    },
  });
  await bench.publish([batchOf({device, batchSeq: 1}), batchOf({device, batchSeq: 2})]);
  await until(
    'the second delivery',
    () => worker.counter('pisync_worker_batches_total', {outcome: 'duplicate'}),
    (seen) => seen === 2,
  );
  expect(await stored([device])).toEqual({records: 4, distinct: 4, receipts: 2});
  expect(await bench.applied(device)).toBe(2);
});

test('a slot that moved is followed to its new shard without losing what was queued for it', async () => {
  const device = await bench.enrolOne();
  const {shards} = bench.shards;
  const from = shards.slotMap.shardOf(device.slot);
  const to = 1 - from;
  await bench.start();
  await bench.publish([batchOf({device, batchSeq: 1})]);
  await bench.waitApplied(device, 1);
  await shards
    .pool(from, 'job')
    .query(`update slot_owner set state = 'moved_out', epoch = 1 where slot = $1`, [device.slot]);
  await bench.publish([batchOf({device, batchSeq: 2})]);
  // Whoever moves a slot brings the positions of its devices before it gives the slot away.
  await shards
    .pool(to, 'job')
    .query(
      'insert into device_state (device_key, device_id, epoch, applied_through, syncs_total) values ($1, $2, 1, 1, 1)',
      [device.deviceKey, device.deviceId],
    );
  await shards.pool(to, 'job').query(`update slot_owner set state = 'owned', epoch = 1 where slot = $1`, [device.slot]);
  await shards
    .control('job')
    .query(`update control.slot_map set shard = $2, epoch = 1 where slot = $1`, [device.slot, to]);
  const found = await until(
    'the receipt on the new shard',
    () => listReceiptsAfter(shards, device, {epoch: 1, after: 0, limit: 10}),
    (seen) => seen.length > 0,
  );
  expect(found.map(({batchSeq}) => batchSeq)).toEqual([2]);
  expect(shards.slotMap.shardOf(device.slot)).toBe(to);
});

/** Makes the shards refuse records of one kind with an SQLSTATE of choice. */
const poison = async (kind: string, code: string): Promise<void> => {
  for (const shard of bench.shards.shards.ids()) {
    await bench.shards.shards.pool(shard, 'job').query(
      `create function refuse_${kind}() returns trigger language plpgsql as
         $$ begin if new.kind = '${kind}' then raise exception 'this record is ${kind}' using errcode = '${code}'; end if; return new; end $$;
       create trigger refuse_${kind} before insert on record for each row execute function refuse_${kind}()`,
    );
  }
};

test.each([
  ['values that it cannot hold', 'poison', '22003'],
  ['a row that is too large', 'giant', '54000'],
])('the one batch that a shard refuses for %s is rejected and the others are applied', async (_, kind, code) => {
  await poison(kind, code);
  const devices = await enrolDevices(bench.shards.shards, 9);
  const [victim] = devices;
  if (victim === undefined) throw new Error('no device was enrolled');
  const worker = await bench.start();
  await bench.publish(
    devices.map((device) => batchOf({device, batchSeq: 1, ...(device === victim ? {records: [{s: 1, k: kind}]} : {})})),
  );
  for (const device of devices) await bench.waitApplied(device, 1);
  expect(await stored(devices)).toEqual({records: 16, distinct: 16, receipts: 9});
  expect(await listReceiptsAfter(bench.shards.shards, victim, {epoch: 1, after: 0, limit: 9})).toMatchObject([
    {outcome: 'rejected'},
  ]);
  expect(await findDevice(bench.shards.shards, victim.deviceId)).toMatchObject({status: 'failing'});
  expect(await worker.counter('pisync_worker_quarantined_total', {kind: 'batch'})).toBe(1);
});

test('a shard that was out of transaction ids for a moment is no reason to refuse the batch that met it', async () => {
  const pools = bench.shards.shards.ids().map((shard) => bench.shards.shards.pool(shard, 'job'));
  for (const pool of pools) {
    // A sequence remembers what was rolled back.
    await pool.query(
      `create sequence met;
       create function meet_once() returns trigger language plpgsql as
         $$ begin if nextval('met') = 1 then raise exception 'no transaction IDs' using errcode = '54000'; end if; return new; end $$;
       create trigger meet_once before insert on record for each row execute function meet_once()`,
    );
  }
  try {
    const devices = await enrolDevices(bench.shards.shards, 9);
    const worker = await bench.start();
    for (const device of devices) {
      await bench.publish([batchOf({device, batchSeq: 1})]);
      await bench.waitApplied(device, 1);
      expect(await quarantined(device)).toEqual([]);
    }
    expect(await worker.counter('pisync_worker_batches_total', {outcome: 'retried'})).toBe(0);
  } finally {
    for (const pool of pools) await pool.query('drop trigger meet_once on record');
  }
});

test('a batch refused for an unknown reason climbs the ladder alone and ends in quarantine after the last rung', async () => {
  await poison('riddle', 'P0001');
  const [good, bad] = await enrolDevices(bench.shards.shards, 2);
  if (good === undefined || bad === undefined) throw new Error('two devices were not enrolled');
  const riddle = batchOf({device: bad, batchSeq: 1, records: [{s: 1, k: 'riddle'}]});
  const worker = await bench.start();
  await bench.publish([riddle, batchOf({device: good, batchSeq: 1})], 'normal', 1);
  await bench.waitApplied(good, 1);
  await until(
    'the second rung',
    () => bench.depth(bench.names.retry.queue({name: '1m', delayMs: 60_000})),
    (seen) => seen === 1,
  );
  expect(await bench.applied(bad)).toBe(0);
  await bench.publish([riddle], 'normal', 4);
  await bench.waitApplied(bad, 1);
  expect(await quarantined(bad)).toEqual([
    {reason: 'refused 5 times, at last: this record is riddle', payload: riddle.payload},
  ]);
  expect(await worker.counter('pisync_worker_batches_total', {outcome: 'retried'})).toBe(1);
});

test('a batch too far ahead to be stored is set aside after the last rung, and counted', async () => {
  const [device] = await enrolDevices(bench.shards.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  const worker = await bench.start();
  await bench.publish([batchOf({device, batchSeq: 500_000_000})], 'normal', 4);
  await until(
    'the batch to be counted',
    () => worker.counter('pisync_worker_quarantined_total', {kind: 'message'}),
    (count) => count === 1,
  );
});

/** The batches of a device that are kept for a person. */
const quarantined = async ({deviceId, deviceKey}: TestDevice) => {
  const {shards} = bench.shards;
  const found = await shards
    .pool(shards.shardOfDevice(deviceId), 'job')
    .query<{reason: string; payload: Buffer}>('select reason, payload from quarantine where device_key = $1', [
      deviceKey,
    ]);
  return found.rows;
};

test('a message that is no bundle is kept in the control schema', async () => {
  const content = Buffer.from(`no bundle ${randomUUID()}`);
  const worker = await bench.start();
  await bench.publisher.publish({
    exchange: bench.names.batches.exchange,
    routingKey: bench.names.batches.routingKey(0, 'normal'),
    content,
    contentType: 'text/plain',
  });
  await until(
    'the message to be kept',
    () => worker.counter('pisync_worker_quarantined_total', {kind: 'message'}),
    (seen) => seen === 1,
  );
  const kept = await until(
    'the message in the control schema',
    () =>
      bench.shards.shards
        .control('job')
        .query<{detail: unknown}>('select detail from control.unreadable_message where payload = $1', [content]),
    ({rows}) => rows.length === 1,
  );
  expect(kept.rows).toMatchObject([{detail: {queue: bench.names.batches.queue(0, 'normal')}}]);
});

test('a parked batch of a device that is gone with its shard is not stored as one of the device that has its key now', async () => {
  const device = await bench.enrolOne();
  const home = bench.shards.shards.shardOfDevice(device.deviceId);
  const worker = await bench.start();
  await until(
    'the worker to take what is parked',
    () => bench.consumers(bench.names.parked.queue(home)),
    (seen) => seen > 0,
  );
  await bench.park(home, [batchOf({device: {...device, deviceId: randomUUID()}, batchSeq: 1, state: {of: 'another'}})]);
  await until(
    'the batch to be on the ladder',
    () => worker.counter('pisync_worker_batches_total', {outcome: 'retried'}),
    (seen) => seen === 1,
  );
  await bench.publish([batchOf({device, batchSeq: 1, state: {of: 'this one'}})]);
  await bench.waitApplied(device, 1);
  expect(await findDevice(bench.shards.shards, device.deviceId)).toMatchObject({
    ...{state: {of: 'this one'}, recordsTotal: 2, syncsTotal: 1},
  });
});

test('while a slot has no owner the sync requests of others are stored, and those of its devices wait on the broker', async () => {
  const {shards} = bench.shards;
  const [victim, ...rest] = (await enrolDevices(shards, 30)).filter(({slot}) => shards.slotMap.shardOf(slot) === 0);
  if (victim === undefined) throw new Error('the shard has no device');
  const others = rest.filter(({slot}) => slot !== victim.slot);
  const worker = await bench.start();
  const ask = ({deviceId}: TestDevice): Promise<void> =>
    publishSyncRequest(bench.publisher, bench.names, {
      requestId: randomUUID(),
      deviceId,
      timestamp: new Date().toISOString(),
      syncType: 'delta',
      priority: 'normal',
    });
  const waitStored = (count: number) =>
    until(
      `${count} stored sync requests`,
      () => worker.counter('pisync_worker_sync_requests_total', {outcome: 'stored'}),
      (seen) => seen === count,
    );
  const own = (state: string) =>
    shards.pool(0, 'job').query('update slot_owner set state = $2 where slot = $1', [victim.slot, state]);
  await own('importing');
  await ask(victim);
  await Promise.all(others.map(ask));
  await waitStored(others.length);
  await until(
    'the request of the slot to wait on the broker',
    () => bench.depth(bench.names.requests.later.queue),
    (seen) => seen === 1,
  );
  await own('owned');
  await waitStored(others.length + 1);
  expect(await listOpenCommands(shards, victim, 10)).toMatchObject([{type: 'sync.delta'}]);
});

test('sync requests become one command per device and kind, as urgent as the most urgent', async () => {
  const device = await bench.enrolOne();
  const worker = await bench.start();
  const request = (priority: 'high' | 'normal', deviceId = device.deviceId): SyncRequest => ({
    requestId: randomUUID(),
    deviceId,
    timestamp: new Date().toISOString(),
    syncType: 'full',
    priority,
  });
  for (const each of [request('normal'), request('high'), request('normal'), request('normal', randomUUID())]) {
    await publishSyncRequest(bench.publisher, bench.names, each);
  }
  await until(
    'four requests',
    () => worker.counter('pisync_worker_sync_requests_total'),
    (seen) => seen === 4,
  );
  expect(await listOpenCommands(bench.shards.shards, device, 10)).toMatchObject([
    {type: 'sync.full', priority: 'high'},
  ]);
  expect(await worker.counter('pisync_worker_sync_requests_total', {outcome: 'unknown'})).toBe(1);
  expect((await readPositionHint(bench.cache, device.deviceId))?.commands).toBe(true);
});

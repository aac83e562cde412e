import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {listOpenCommands} from '@pisync/core/commands/commands';
import {findDevice} from '@pisync/core/queries/devices';
import {findPosition} from '@pisync/core/devices/position';
import {listReceiptsAfter} from '@pisync/core/receipts/receipts';
import {dayOf, ensurePartitions} from '@pisync/core/shards/partitions';
import {JsonText} from '@pisync/core/json/json-text';
import {listRecords} from '@pisync/core/queries/records';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import fc from 'fast-check';
import {v7 as uuidv7} from 'uuid';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {type Batch} from './batch.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {writeBatches, type WriterOptions, type Written} from './shard-writer.ts';

const today = dayOf(Date.now());
// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const options: WriterOptions = {
  // Its shards are there when it is first used.
  store: {
    transaction: (request) => createPgShardStore(bench.shards, Date.now).transaction(request),
  },
  now: Date.now,
  newId: () => uuidv7(),
};

const write = async (batches: readonly Batch[]): Promise<Written> => {
  const verdict = await writeBatches(options, 0, batches);
  if (verdict.kind === 'moved') throw new Error(`slots ${verdict.slots.join()} are not owned`);
  return verdict.value;
};

const oneDevice = async (): Promise<TestDevice> => {
  const [device] = await enrolDevices(bench.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  return device;
};

const position = async (device: TestDevice) => {
  const found = await findPosition(bench.shards, device, 1);
  return `${found?.epoch}:${found?.appliedThrough}`;
};

const recordsOf = async (device: TestDevice, limit: number) =>
  (await listRecords(bench.shards, [{device}], limit))[0]?.rows ?? [];

const quarantined = async ({deviceKey}: TestDevice) => {
  const found = await bench.shards
    .pool(0, 'job')
    .query<{kind: string; reason: string; detail: unknown; payload: Buffer}>(
      'select kind, reason, detail, payload from quarantine where device_key = $1 order by id',
      [deviceKey],
    );
  return found.rows;
};

test('a batch becomes a receipt, its records, the state and a status', async () => {
  const device = await oneDevice();
  const written = await write([batchOf({device, batchSeq: 1})]);
  expect(written.positions).toEqual([{deviceKey: device.deviceKey, epoch: 1, appliedThrough: 1}]);
  expect(await recordsOf(device, 10)).toMatchObject([
    {
      epoch: 1,
      seq: 3,
      batchSeq: 1,
      ordinal: 1,
      kind: 'reading',
      deviceTime: null,
      data: new JsonText('{"celsius": 21}'),
    },
    {
      epoch: 1,
      seq: 2,
      batchSeq: 1,
      ordinal: 0,
      kind: 'reading',
      deviceTime: new Date(1_763_890_000_001),
      data: new JsonText('{"celsius": 21}'),
    },
  ]);
  expect(await listReceiptsAfter(bench.shards, device, {epoch: 1, after: 0, limit: 10})).toMatchObject([
    {batchSeq: 1, outcome: 'applied', recordCount: 2, badCount: 0, mode: 'delta', reason: 'scheduled'},
  ]);
  expect(await findDevice(bench.shards, device.deviceId)).toMatchObject({
    status: 'on_time',
    appliedThrough: 1,
    recordsTotal: 2,
    syncsTotal: 1,
    state: {v: 1},
  });
});

test('whatever the order and however often: applied once, applied_through is the gapless prefix', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({min: 1, max: 9}), {minLength: 1, maxLength: 6}), {minLength: 1, maxLength: 8}),
      async (commits) => {
        const device = await oneDevice();
        for (const seqs of commits)
          await write(seqs.map((batchSeq) => batchOf({device, batchSeq, receivedAtMs: 1e12, receivedDay: today})));
        const sent = new Set(commits.flat());
        let prefix = 0;
        while (sent.has(prefix + 1)) prefix++;
        expect(await position(device)).toBe(`1:${prefix}`);
        const found = await findDevice(bench.shards, device.deviceId);
        expect(found).toMatchObject({
          recordsTotal: sent.size * 2,
          syncsTotal: sent.size,
          state: {v: Math.max(...sent)},
        });
        expect(await recordsOf(device, 100)).toHaveLength(sent.size * 2);
      },
    ),
    {numRuns: 40},
  );
});

test('a newer epoch starts from zero and an older one no longer moves the position or the state', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1}), batchOf({device, batchSeq: 2})]);
  await write([batchOf({device, epoch: 2, batchSeq: 1, state: {card: 'new'}})]);
  expect(await position(device)).toBe('2:1');
  await write([batchOf({device, batchSeq: 3, state: {card: 'old'}})]);
  expect(await position(device)).toBe('2:1');
  expect(await findDevice(bench.shards, device.deviceId)).toMatchObject({
    state: {card: 'new'},
    syncsTotal: 4,
    recordsTotal: 8,
  });
});

test('a number used twice with other content is quarantined once, and the device is told to begin a new epoch', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1})]);
  const other = batchOf({device, batchSeq: 1, records: [{s: 1, k: 'other'}]});
  for (let time = 0; time < 2; time++) expect(await write([other])).toMatchObject({applied: [], conflicts: [other]});
  expect(await quarantined(device)).toMatchObject([{kind: 'conflict', payload: other.payload}]);
  expect(await recordsOf(device, 10)).toHaveLength(2);
  const commands = await listOpenCommands(bench.shards, device, 10);
  expect(commands).toMatchObject([{type: 'epoch.new', params: {epoch: 1}, priority: 'high'}]);
});

test('bad records go to quarantine once and the good ones are applied', async () => {
  const device = await oneDevice();
  const batch = batchOf({
    device,
    batchSeq: 1,
    records: [
      {s: 1, k: 'good'},
      {s: 2, k: 'nul', d: {text: 'a\u0000b'}},
      {s: 'x', k: 'bad'},
      {s: 4, k: 'half', d: '\ud800'},
      7,
    ],
  });
  await write([batch]);
  await write([batch]);
  expect((await recordsOf(device, 10)).map(({kind}) => kind)).toEqual(['good']);
  expect((await quarantined(device)).map(({detail}) => detail)).toEqual(
    [1, 2, 3, 4].map((index) => ({pointer: `/records/${index}`})),
  );
  expect(await position(device)).toBe('1:1');
});

test('a rejected batch has a receipt that says so, moves the position on and marks the device as failing', async () => {
  const device = await oneDevice();
  await write([{...batchOf({device, batchSeq: 1}), content: {kind: 'rejected', reason: 'too strange'}}]);
  expect(await listReceiptsAfter(bench.shards, device, {epoch: 1, after: 0, limit: 1})).toMatchObject([
    {outcome: 'rejected'},
  ]);
  expect(await quarantined(device)).toMatchObject([{kind: 'batch', reason: 'too strange'}]);
  expect(await findDevice(bench.shards, device.deviceId)).toMatchObject({status: 'failing', appliedThrough: 1});
});

test('writers with the same devices in other orders neither deadlock nor lose or double anything', async () => {
  const devices = await enrolDevices(bench.shards, 12);
  const all = devices.flatMap((device) =>
    Array.from({length: 20}, (_, index) => batchOf({device, batchSeq: index + 1})),
  );
  const shuffled = (): readonly Batch[] =>
    all
      .map((batch) => ({batch, order: Math.random()}))
      .sort((a, b) => a.order - b.order)
      .map(({batch}) => batch);
  const writer = async (): Promise<void> => {
    const mine = shuffled();
    for (let at = 0; at < mine.length; at += 15) {
      // Whose device another writer has at the moment comes again.
      for (let rest: readonly Batch[] = mine.slice(at, at + 15); rest.length > 0;) rest = (await write(rest)).busy;
    }
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
  for (const device of devices) {
    expect(await position(device)).toBe('1:20');
    expect(await findDevice(bench.shards, device.deviceId)).toMatchObject({
      recordsTotal: 40,
      syncsTotal: 20,
      state: {v: 20},
    });
    expect(await recordsOf(device, 100)).toHaveLength(40);
  }
});

const day = (offset: number): string => dayOf(Date.now() + offset * 86_400_000);

/** The law that holds whatever receipts are kept: each applied batch was counted once. */
const expectSums = async ({deviceKey}: TestDevice): Promise<void> => {
  const found = await bench.shards.pool(0, 'job').query<{syncs: number; numbers: number}>(
    `select syncs_total as syncs, (select sum(n) from (
       select applied_through + coalesce((select sum(upper(r) - lower(r)) from unnest(ahead) r), 0) as n from device_state where device_key = $1
       union all
       select applied_through + coalesce((select sum(upper(r) - lower(r)) from unnest(ahead) r), 0) from device_epoch where device_key = $1) x)::int as numbers
     from device_state where device_key = $1`,
    [deviceKey],
  );
  expect(found.rows[0]?.numbers).toBe(found.rows[0]?.syncs);
};

const stored = async ({deviceKey}: TestDevice) => {
  const found = await bench.shards
    .pool(0, 'job')
    .query<{receipts: number; records: number}>(
      `select (select count(*) from receipt where device_key = $1) as receipts, (select count(*) from record where device_key = $1) as records`,
      [deviceKey],
    );
  return found.rows[0];
};

test('a batch that comes again after midnight is the same batch', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1, receivedDay: day(-1)})]);
  expect(await write([batchOf({device, batchSeq: 1, receivedDay: day(0)})])).toMatchObject({
    applied: [],
    conflicts: [],
  });
  // Both within one transaction.
  await write([
    batchOf({device, batchSeq: 2, receivedDay: day(-1)}),
    batchOf({device, batchSeq: 2, receivedDay: day(0)}),
  ]);
  expect(await stored(device)).toEqual({receipts: 2, records: 4});
  await expectSums(device);
});

test('a batch whose receipt is gone is neither applied again nor taken for another one: it is kept, and no epoch is asked for', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1}), batchOf({device, batchSeq: 2})]);
  await bench.shards
    .pool(0, 'job')
    .query('delete from receipt where device_key = $1 and batch_seq = 1', [device.deviceKey]);
  const again = batchOf({device, batchSeq: 1});
  for (let time = 0; time < 2; time++) {
    expect(await write([again, batchOf({device, batchSeq: 2})])).toMatchObject({
      applied: [],
      unproved: [again],
      conflicts: [],
    });
  }
  expect(await quarantined(device)).toMatchObject([{kind: 'unproved', payload: again.payload}]);
  expect(await listOpenCommands(bench.shards, device, 10)).toEqual([]);
  expect(await stored(device)).toEqual({receipts: 1, records: 4});
  await expectSums(device);
});

test('a receipt of a day long ago tells a repetition from another content', async () => {
  await ensurePartitions(bench.shards.pool(0, 'job'), [day(-40)]);
  const device = await oneDevice();
  const first = batchOf({device, batchSeq: 1, receivedDay: day(-40)});
  await write([first]);
  expect(await write([first])).toMatchObject({duplicates: [first]});
  const other = batchOf({device, batchSeq: 1, records: []});
  expect(await write([other])).toMatchObject({conflicts: [other]});
});

test('batches of replaced epochs are applied once each, whichever epoch the row has, and in whatever order they come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.array(fc.record({epoch: fc.integer({min: 1, max: 3}), batchSeq: fc.integer({min: 1, max: 5})}), {
          minLength: 1,
          maxLength: 6,
        }),
        {minLength: 1, maxLength: 8},
      ),
      async (commits) => {
        const device = await oneDevice();
        for (const batches of commits) await write(batches.map((one) => batchOf({device, ...one})));
        const names = new Set(commits.flat().map(({epoch, batchSeq}) => `${epoch}/${batchSeq}`));
        expect(await stored(device)).toEqual({receipts: names.size, records: names.size * 2});
        await expectSums(device);
        for (const epoch of [1, 2, 3]) {
          let prefix = 0;
          while (names.has(`${epoch}/${prefix + 1}`)) prefix++;
          expect((await findPosition(bench.shards, device, epoch))?.appliedOfAsked).toBe(prefix);
        }
      },
    ),
    {numRuns: 40},
  );
});

test('numbers far apart and in the worst order are each applied once, and what is too far waits', async () => {
  const device = await oneDevice();
  const order = [64, 1, 63, 2, 33, 62, 3, ...Array.from({length: 61}, (_, index) => index + 4)];
  for (const batchSeq of order) await write([batchOf({device, batchSeq})]);
  expect(await position(device)).toBe('1:64');
  expect(await stored(device)).toEqual({receipts: 64, records: 128});
  const far = batchOf({device, batchSeq: 64 + 1025});
  expect(await write([far])).toMatchObject({applied: [], tooFar: [far]});
  expect(await write([batchOf({device, batchSeq: 64 + 1024})])).toMatchObject({applied: [{batchSeq: 1088}]});
  expect(await write([batchOf({device, batchSeq: 1088, records: []})])).toMatchObject({conflicts: [{batchSeq: 1088}]});
  await expectSums(device);
});

test('a row that somebody else holds is left out, and the others of the window are applied', async () => {
  const [held, free] = await enrolDevices(bench.shards, 2);
  if (held === undefined || free === undefined) throw new Error('two devices were not enrolled');
  const client = await bench.shards.pool(0, 'job').connect();
  try {
    await client.query('begin');
    await client.query('select from device_state where device_key = $1 for update', [held.deviceKey]);
    const batches = [batchOf({device: held, batchSeq: 1}), batchOf({device: free, batchSeq: 1})];
    expect(await write(batches)).toMatchObject({busy: [batches[0]], applied: [batches[1]], absent: []});
  } finally {
    await client.query('rollback');
    client.release();
  }
  expect(await write([batchOf({device: held, batchSeq: 1})])).toMatchObject({applied: [{batchSeq: 1}]});
});

test('a device without a row is none of the writer’s business: it would begin anew at nothing applied', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1})]);
  await bench.shards.pool(0, 'job').query('delete from device_state where device_key = $1', [device.deviceKey]);
  expect(await write([batchOf({device, batchSeq: 1})])).toMatchObject({absent: [{batchSeq: 1}], applied: []});
  expect(await stored(device)).toEqual({receipts: 1, records: 2});
});

test('a batch of a device whose key is another one’s by now is absent, also beside batches of that one', async () => {
  const device = await oneDevice();
  const lost = batchOf({device: {...device, deviceId: randomUUID()}, batchSeq: 1, records: [{s: 1, k: 'lost'}]});
  expect(await write([lost])).toMatchObject({absent: [lost], applied: [], positions: []});
  const own = [1, 2].map((batchSeq) => batchOf({device, batchSeq}));
  expect(await write([...own, lost])).toMatchObject({absent: [lost], applied: own, conflicts: [], duplicates: []});
  // Its number is used now.
  expect(await write([lost])).toMatchObject({absent: [lost], conflicts: []});
  expect(await quarantined(device)).toEqual([]);
  expect(await stored(device)).toEqual({receipts: 2, records: 4});
});

test('a state that is the same is not written again, and what it is of moves on', async () => {
  const device = await oneDevice();
  const shadow = async () =>
    (
      await bench.shards
        .pool(0, 'job')
        .query<{xmin: string; state: unknown}>('select xmin::text, state from device_shadow where device_key = $1', [
          device.deviceKey,
        ])
    ).rows;
  await write([batchOf({device, batchSeq: 1, state: {v: 1}})]);
  const first = await shadow();
  await write([batchOf({device, batchSeq: 2, state: {v: 1}})]);
  expect(await shadow()).toEqual(first);
  // Older than the one that brought the same again.
  await write([batchOf({device, batchSeq: 4, state: {v: 1}})]);
  await write([batchOf({device, batchSeq: 3, state: {v: 3}})]);
  expect(await shadow()).toEqual(first);
  await write([batchOf({device, batchSeq: 5, state: {v: 5}})]);
  expect(await shadow()).toMatchObject([{state: {v: 5}}]);
});

test('what a server whose clock is ahead has received was heard of now, so that time goes on for its device', async () => {
  const device = await oneDevice();
  const batch = batchOf({device, batchSeq: 1, receivedAtMs: Date.now() + 365 * 86_400_000, receivedDay: today});
  expect((await write([batch])).applied).toHaveLength(1);
  const found = await findDevice(bench.shards, device.deviceId);
  expect(found?.lastSyncAt?.getTime()).toBeLessThanOrEqual(Date.now());
  expect(found?.lastSeenAt?.getTime()).toBeLessThanOrEqual(Date.now());
});

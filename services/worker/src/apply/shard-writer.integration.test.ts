import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {listOpenCommands, markDelivered} from '@pisync/core/commands/commands';
import {findDevice} from '@pisync/core/devices/device-reader';
import {findPosition} from '@pisync/core/devices/position';
import {listReceiptsAfter} from '@pisync/core/receipts/receipts';
import {listRecords} from '@pisync/core/records/records';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import fc from 'fast-check';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {type Batch} from './batch.ts';
import {writeBatches, type Written} from './shard-writer.ts';

const today = new Date().toISOString().slice(0, 10);
// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const write = async (batches: readonly Batch[]): Promise<Written> => {
  const verdict = await writeBatches(bench.shards.pool(0, 'ingest'), batches, {now: Date.now, newId: randomUUID});
  if (verdict.kind === 'moved') throw new Error(`slots ${verdict.slots.join()} are not owned`);
  return verdict.value;
};

const oneDevice = async (): Promise<TestDevice> => {
  const [device] = await enrolDevices(bench.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  return device;
};

const position = async ({deviceKey, slot}: TestDevice) => {
  const found = await findPosition(bench.shards, deviceKey, slot);
  return `${found?.epoch}:${found?.appliedThrough}`;
};

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
  expect((await listRecords(bench.shards, device, {limit: 10})).rows).toMatchObject([
    {epoch: 1, seq: 3, batchSeq: 1, kind: 'reading', deviceTime: null, data: {celsius: 21}},
    {epoch: 1, seq: 2, batchSeq: 1, kind: 'reading', deviceTime: new Date(1_763_890_000_001), data: {celsius: 21}},
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
        expect((await listRecords(bench.shards, device, {limit: 100})).rows).toHaveLength(sent.size * 2);
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
  expect((await listRecords(bench.shards, device, {limit: 10})).rows).toHaveLength(2);
  const commands = await listOpenCommands(bench.shards, device, 10);
  expect(commands).toMatchObject([{type: 'epoch.new', params: {epoch: 1}, priority: 'high'}]);
});

test('a command that was handed out is done when a later sync of the new epoch is applied', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1}), batchOf({device, batchSeq: 1, records: []})]);
  const [command] = await listOpenCommands(bench.shards, device, 10);
  if (command === undefined) throw new Error('the conflict left no command');
  await markDelivered(bench.shards, [{...device, commandId: command.commandId}], Date.now() - 1000);
  await write([batchOf({device, batchSeq: 2})]);
  expect(await listOpenCommands(bench.shards, device, 10)).toHaveLength(1);
  await write([batchOf({device, epoch: 2, batchSeq: 1})]);
  expect(await listOpenCommands(bench.shards, device, 10)).toEqual([]);
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
  expect((await listRecords(bench.shards, device, {limit: 10})).rows.map(({kind}) => kind)).toEqual(['good']);
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
    for (let at = 0; at < mine.length; at += 15) await write(mine.slice(at, at + 15));
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
  for (const device of devices) {
    expect(await position(device)).toBe('1:20');
    expect(await findDevice(bench.shards, device.deviceId)).toMatchObject({
      recordsTotal: 40,
      syncsTotal: 20,
      state: {v: 20},
    });
    expect((await listRecords(bench.shards, device, {limit: 100})).rows).toHaveLength(40);
  }
});

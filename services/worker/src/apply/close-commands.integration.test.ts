import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {insertCommands, listOpenCommands, markDelivered} from '@pisync/core/commands/commands';
import {withOwnedSlots} from '@pisync/core/shards/slot-transaction';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {type Batch} from './batch.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {writeBatches} from './shard-writer.ts';

jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const write = async (batches: readonly Batch[]): Promise<void> => {
  const store = createPgShardStore(bench.shards, Date.now);
  await writeBatches({store, now: Date.now, newId: () => randomUUID()}, 0, batches);
};

const oneDevice = async (): Promise<TestDevice> => {
  const [device] = await enrolDevices(bench.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  return device;
};

test('a command is done when a batch that names it is applied, whatever the clocks of those say who handed it out and took the batch', async () => {
  const device = await oneDevice();
  const other = await oneDevice();
  const request = (type: 'sync.full' | 'sync.delta') => ({
    ...{deviceKey: device.deviceKey, slot: device.slot, type, commandId: randomUUID(), requestId: randomUUID()},
    ...{params: {}, priority: 'high' as const, createdAtMs: Date.now(), lifetimeMs: 3600_000},
  });
  const [full, delta] = [request('sync.full'), request('sync.delta')];
  await withOwnedSlots(bench.shards.pool(0, 'ingest'), [device.slot], (client) =>
    insertCommands(client, [full, delta]),
  );
  const open = async () => (await listOpenCommands(bench.shards, device, 10)).map(({type}) => type).sort();
  await markDelivered(bench.shards, [{...device, commandId: full.commandId}], Date.now() + 3600_000);
  await write([batchOf({device, batchSeq: 1, mode: 'full'})]);
  await write([batchOf({device: other, batchSeq: 1, cmdAcks: [full.commandId, delta.commandId]})]);
  expect(await open()).toEqual(['sync.delta', 'sync.full']);
  await write([batchOf({device, batchSeq: 2, cmdAcks: [full.commandId]})]);
  expect(await open()).toEqual(['sync.delta']);
  await write([batchOf({device, batchSeq: 3, cmdAcks: [full.commandId, delta.commandId]})]);
  expect(await open()).toEqual([]);
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

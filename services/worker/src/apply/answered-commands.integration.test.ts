import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {insertCommands, listOpenCommands, markDelivered} from '@pisync/core/commands/commands';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {v7 as uuidv7} from 'uuid';
import {batchOf, enrolDevices, type TestDevice} from '../testing/batches.ts';
import {type Batch} from './batch.ts';
import {createPgShardStore} from './pg-shard-store.ts';
import {writeBatches} from './shard-writer.ts';

// Servers that others also use answer slowly at times.
jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 1});
});
afterAll(() => bench.close());

const write = async (batches: readonly Batch[]): Promise<void> => {
  const store = createPgShardStore(bench.shards, Date.now);
  await writeBatches({store, now: Date.now, newId: () => uuidv7()}, 0, batches);
};

const oneDevice = async (): Promise<TestDevice> => {
  const [device] = await enrolDevices(bench.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  return device;
};

const openTypes = async (device: TestDevice): Promise<readonly string[]> =>
  (await listOpenCommands(bench.shards, device, 10)).map(({type}) => type);

test('one for a new epoch is done when a later sync of that is applied', async () => {
  const device = await oneDevice();
  await write([batchOf({device, batchSeq: 1}), batchOf({device, batchSeq: 1, records: []})]);
  const [command] = await listOpenCommands(bench.shards, device, 10);
  if (command === undefined) throw new Error('the conflict left no command');
  await markDelivered(bench.shards, [{...device, commandId: command.commandId}], Date.now() - 1000);
  await write([batchOf({device, batchSeq: 2})]);
  expect(await openTypes(device)).toEqual(['epoch.new']);
  await write([batchOf({device, epoch: 2, batchSeq: 1})]);
  expect(await openTypes(device)).toEqual([]);
});

test('one for a full sync is not done by one from before it was handed out, whatever comes with that', async () => {
  const device = await oneDevice();
  const [id, nowMs] = [uuidv7(), Date.now()];
  const command = {commandId: id, requestId: id, type: 'sync.full', params: {}, priority: 'normal'} as const;
  const client = await bench.shards.pool(0, 'job').connect();
  await insertCommands(client, [{...device, ...command, createdAtMs: nowMs, expiresAtMs: nowMs + 60_000}]);
  client.release();
  await markDelivered(bench.shards, [{...device, commandId: id}], nowMs);
  await write([
    batchOf({device, batchSeq: 1, mode: 'full', receivedAtMs: nowMs - 10_000}),
    batchOf({device, batchSeq: 2, receivedAtMs: nowMs + 10_000}),
  ]);
  expect(await openTypes(device)).toEqual(['sync.full']);
  await write([batchOf({device, batchSeq: 3, mode: 'full', receivedAtMs: nowMs + 20_000})]);
  expect(await openTypes(device)).toEqual([]);
});

/** What every {@link ShardStore} does, the one over PostgreSQL and the simulated one. */
import {NOTHING_APPLIED, withApplied} from '../apply/applied-numbers.ts';
import {expect, test} from '@jest/globals';
import {type Batch} from '../apply/batch.ts';
import {type DeviceUpdate, type ShardStore, type ShardTransaction, type WindowChanges} from '../apply/shard-store.ts';
import {batchOf, type TestDevice} from './batches.ts';

/** The store under test, with shard 0. */
export interface StoreUnderTest {
  readonly store: ShardStore;
  /** A device of shard 0 that enrolled and sent nothing. */
  enrol(): Promise<TestDevice>;
}

const NOTHING: WindowChanges = {
  ...{applied: [], quarantined: [], epochs: [], devices: [], shadows: [], statuses: [], syncs: []},
  today: '2026-01-15',
};

/** What the writer makes of one batch of a device that was at nothing. */
const changesOf = (batch: Batch, device: Partial<DeviceUpdate> = {}): WindowChanges => {
  const {deviceKey, epoch, batchSeq, receivedAtMs, receivedDay} = batch;
  const numbers = withApplied(NOTHING_APPLIED, batchSeq);
  return {
    ...NOTHING,
    applied: [batch],
    devices: [
      {deviceKey, epoch, numbers, stateEpoch: epoch, stateSeq: batchSeq, receivedAtMs, records: 2, syncs: 1, ...device},
    ],
    today: receivedDay,
  };
};

export const describeShardStore = (open: () => StoreUnderTest): void => {
  const inTransaction = async <T>(
    device: TestDevice,
    work: (transaction: ShardTransaction) => Promise<T>,
    epochs: readonly number[] = [1],
  ): Promise<T> => {
    const {deviceKey, slot} = device;
    const verdict = await open().store.transaction({
      shardId: 0,
      slots: [slot],
      deviceKeys: [deviceKey],
      epochs: epochs.map((epoch) => ({deviceKey, epoch})),
      work,
    });
    if (verdict.kind === 'moved') throw new Error(`slot ${slot} is not owned`);
    return verdict.value;
  };
  const look = (device: TestDevice, epochs?: readonly number[]) =>
    inTransaction(
      device,
      async (transaction) => {
        await transaction.write(NOTHING, [], true);
        const {locked, busy, epochs: replaced} = transaction;
        return {locked, busy: [...busy], epochs: replaced};
      },
      epochs,
    );

  test('a device that enrolled has a row at nothing', async () => {
    const device = await open().enrol();
    expect(await look(device)).toEqual({
      locked: [
        {
          ...{deviceKey: device.deviceKey, deviceId: device.deviceId, epoch: 1},
          ...{numbers: {through: 0, ahead: []}, stateEpoch: 0, stateSeq: 0},
        },
      ],
      busy: [],
      epochs: [],
    });
  });

  test('a device that nobody enrolled is absent: neither locked nor busy', async () => {
    const device = await open().enrol();
    // In the same slot.
    expect(await look({...device, deviceKey: device.deviceKey + 999_999})).toEqual({locked: [], busy: [], epochs: []});
  });

  test('a row that a transaction has is busy for the next, and not after it', async () => {
    const device = await open().enrol();
    const during = await inTransaction(device, async (transaction) => {
      const other = await look(device);
      await transaction.write(NOTHING, [], true);
      return other;
    });
    expect(during).toEqual({locked: [], busy: [device.deviceKey], epochs: []});
    expect((await look(device)).locked).toHaveLength(1);
  });

  test('a device of which a transaction has a row is held, and not after it', async () => {
    const [device, other] = [await open().enrol(), await open().enrol()];
    const held = () =>
      open().store.heldDevices(
        0,
        [device.deviceKey, other.deviceKey].toSorted((a, b) => a - b),
      );
    const during = await inTransaction(device, async (transaction) => {
      const found = await held();
      await transaction.write(NOTHING, [], true);
      return found;
    });
    expect([...during]).toEqual([device.deviceKey]);
    expect([...(await held())]).toEqual([]);
  });

  test('it answers, and its schema is that of this release', async () => {
    const {store} = open();
    expect([await store.answers(0), await store.isOutdated(0)]).toEqual([true, false]);
  });

  test('what is written is there after the commit, and its receipt is found', async () => {
    const device = await open().enrol();
    const batch = batchOf({device, batchSeq: 3});
    await inTransaction(device, (transaction) => transaction.write(changesOf(batch), [], true));
    expect((await look(device)).locked).toMatchObject([
      {
        ...{epoch: 1, numbers: {through: 0, ahead: [[3, 4]]}, stateEpoch: 1, stateSeq: 3},
      },
    ]);
    const found = await inTransaction(device, async (transaction) => ({
      recent: await transaction.write(NOTHING, [batch, batchOf({device, batchSeq: 4})], false),
      ever: await transaction.findReceipts([batch]),
    }));
    const {deviceKey, epoch, batchSeq, contentHash} = batch;
    const receipt = {deviceKey, epoch, batchSeq, contentHash};
    expect(found).toEqual({recent: [receipt], ever: [receipt]});
  });

  test('an epoch that was replaced is read when it is asked for', async () => {
    const device = await open().enrol();
    const {deviceKey} = device;
    const numbers = {through: 7, ahead: [[9, 11] as const]};
    await inTransaction(device, (transaction) =>
      transaction.write(
        {...changesOf(batchOf({device, epoch: 2, batchSeq: 1})), epochs: [{deviceKey, epoch: 1, numbers}]},
        [],
        true,
      ),
    );
    expect((await look(device, [1, 2])).epochs).toEqual([{deviceKey, epoch: 1, numbers}]);
    expect((await look(device, [2])).epochs).toEqual([]);
  });

  test('when the work throws nothing was written, and the row is free', async () => {
    const device = await open().enrol();
    const work = inTransaction(device, async (transaction) => {
      await transaction.write(changesOf(batchOf({device, batchSeq: 1})), [], false);
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect((await look(device)).locked).toMatchObject([{numbers: {through: 0, ahead: []}}]);
  });

  test('a receipt that is there already is refused, with all that came with it', async () => {
    const device = await open().enrol();
    const batch = batchOf({device, batchSeq: 1});
    const write = () => inTransaction(device, (transaction) => transaction.write(changesOf(batch), [], true));
    await write();
    await expect(write()).rejects.toMatchObject({code: '23505'});
    expect((await look(device)).locked).toMatchObject([{numbers: {through: 1, ahead: []}}]);
  });
};

import {dayOf} from '@pisync/core/shards/partitions';
import {type SlotVerdict} from '@pisync/core/shards/slot-transaction';
import {highestApplied, isApplied, isTooFar, NOTHING_APPLIED, withApplied} from './applied-numbers.ts';
import {type Batch, type BatchKey, compareBatches} from './batch.ts';
import {type DeviceChange, summarise} from './device-change.ts';
import {conflictRow, quarantineRows, unprovedRow} from './quarantine-rows.ts';
import {
  type DeviceUpdate,
  type EpochKey,
  type EpochNumbers,
  type LockedDevice,
  type ShardStore,
  type ShardTransaction,
  type StatusUpdate,
  type StoredHash,
} from './shard-store.ts';

/** What one transaction made of its batches; every batch given is in exactly one of the lists. */
export interface Written {
  readonly applied: readonly Batch[];
  /** Applied earlier with the same content: nothing to do. */
  readonly duplicates: readonly Batch[];
  /** Their number was used before with other content. */
  readonly conflicts: readonly Batch[];
  /** Their number was used so long ago that nobody can say with what content. */
  readonly unproved: readonly Batch[];
  /** Nothing was done: another transaction has the row of their device. */
  readonly busy: readonly Batch[];
  /** Nothing was done: their device has no row here, as after a restore of a backup from before it enrolled. Its key may be another device's by now. */
  readonly absent: readonly Batch[];
  /** Nothing was done: too many numbers before theirs are missing. */
  readonly tooFar: readonly Batch[];
  /** How far the devices of `applied` now are. */
  readonly positions: readonly DevicePosition[];
}

export interface DevicePosition extends EpochKey {
  readonly appliedThrough: number;
}

export interface WriterOptions {
  readonly store: Pick<ShardStore, 'transaction'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly newId: () => string;
}

/** How long a device may take to hear that it must begin a new epoch. */
const EPOCH_COMMAND_LIFETIME_MS = 30 * 86_400_000;

/**
 * Applies batches of one shard in one transaction. Exactly once: the device's row is locked, and what it says of the numbers that are applied decides what is new; both change in this transaction.
 * @throws what the database threw; then nothing is written, or everything, which is found out when they are written again.
 */
export const writeBatches = (
  options: WriterOptions,
  shardId: number,
  batches: readonly Batch[],
  deadline?: AbortSignal,
): Promise<SlotVerdict<Written>> => {
  const sorted = [...batches].sort(compareBatches);
  return options.store.transaction({
    shardId,
    slots: sorted.map(({slot}) => slot),
    deviceKeys: unique(sorted, ({deviceKey}) => deviceKey).map(({deviceKey}) => deviceKey),
    epochs: unique(sorted, nameOfEpoch),
    work: (transaction) => write(transaction, sorted, options),
    deadline,
  });
};

const write = async (
  transaction: ShardTransaction,
  sorted: readonly Batch[],
  options: WriterOptions,
): Promise<Written> => {
  const {fresh, known, numbers, ...left} = sortOut(transaction, sorted);
  const changes = summarise(fresh);
  const devices = updatesOf(transaction, changes, numbers);
  const stored = await transaction.write(
    {
      applied: fresh,
      quarantined: fresh.flatMap((batch) => quarantineRows(batch, options.newId)),
      epochs: replacedEpochs(transaction, devices, numbers),
      devices,
      // Compared with what the device had: a state that is not newer does not count.
      shadows: changes.flatMap(({deviceKey, state}, index) =>
        state !== undefined && isOf(devices[index], state) ? [{deviceKey, json: state.json}] : [],
      ),
      statuses: statusesOf(transaction, changes),
      syncs: changes,
      today: dayOf(options.now()),
    },
    known,
    known.length === 0,
  );
  const told = await compareContents(transaction, {fresh, known, stored}, options);
  return {
    applied: fresh,
    ...told,
    ...left,
    positions: devices.map(({deviceKey, epoch, numbers: {through}}) => ({deviceKey, epoch, appliedThrough: through})),
  };
};

/** `sorted` as it is of a window; one is kept for each name. */
const unique = <T>(sorted: readonly T[], name: (one: T) => number | string): readonly T[] =>
  sorted.filter((one, index) => {
    const before = sorted[index - 1];
    return before === undefined || name(before) !== name(one);
  });

const nameOfEpoch = ({deviceKey, epoch}: EpochKey): string => `${deviceKey}/${epoch}`;
const nameOf = (batch: Omit<BatchKey, 'deviceId' | 'slot'>): string => `${nameOfEpoch(batch)}/${batch.batchSeq}`;

/** By device and epoch. */
type Numbers = ReadonlyMap<string, EpochNumbers>;

/** Tells batches that are new from those that were applied before, in this window too, and from those that cannot be decided now. */
const sortOut = ({locked, busy: held, epochs}: ShardTransaction, sorted: readonly Batch[]) => {
  const owners = new Map(locked.map(({deviceKey, deviceId}) => [deviceKey, deviceId]));
  const numbers = new Map<string, EpochNumbers>([...epochs, ...locked].map((epoch) => [nameOfEpoch(epoch), epoch]));
  const fresh: Batch[] = [];
  const known: Batch[] = [];
  const busy: Batch[] = [];
  const absent: Batch[] = [];
  const tooFar: Batch[] = [];
  for (const batch of sorted) {
    const {deviceId, deviceKey, epoch, batchSeq} = batch;
    const applied = numbers.get(nameOfEpoch(batch))?.numbers ?? NOTHING_APPLIED;
    if (owners.get(deviceKey) !== deviceId) (held.has(deviceKey) ? busy : absent).push(batch);
    else if (isApplied(applied, batchSeq)) known.push(batch);
    else if (isTooFar(applied, batchSeq)) tooFar.push(batch);
    else {
      numbers.set(nameOfEpoch(batch), {deviceKey, epoch, numbers: withApplied(applied, batchSeq)});
      fresh.push(batch);
    }
  }
  return {fresh, known, busy, absent, tooFar, numbers};
};

/** One for each change, in its order. A newer epoch takes the row; an older one changes no position. */
const updatesOf = (
  {locked}: ShardTransaction,
  changes: readonly DeviceChange[],
  all: Numbers,
): readonly DeviceUpdate[] => {
  const before = new Map(locked.map((device) => [device.deviceKey, device]));
  return changes.flatMap(({deviceKey, epoch: newest, state, receivedAtMs, records, syncs}) => {
    const device = before.get(deviceKey);
    if (device === undefined) return [];
    const epoch = Math.max(device.epoch, newest);
    const numbers = all.get(nameOfEpoch({deviceKey, epoch}))?.numbers ?? NOTHING_APPLIED;
    const {stateEpoch, stateSeq} = state !== undefined && isNewer(state, device) ? versionOf(state) : device;
    return [{deviceKey, epoch, numbers, stateEpoch, stateSeq, receivedAtMs, records, syncs}];
  });
};

type ReceivedState = NonNullable<DeviceChange['state']>;

const versionOf = ({epoch, batchSeq}: ReceivedState) => ({stateEpoch: epoch, stateSeq: batchSeq});

const isNewer = ({epoch, batchSeq}: ReceivedState, {stateEpoch, stateSeq}: LockedDevice): boolean =>
  epoch > stateEpoch || (epoch === stateEpoch && batchSeq > stateSeq);

/** The batch of a state was not applied before, so the row has its version only if it is newer than what the row had. */
const isOf = (device: DeviceUpdate | undefined, {epoch, batchSeq}: ReceivedState): boolean =>
  device?.stateEpoch === epoch && device.stateSeq === batchSeq;

/** Of the devices that are updated: those of which something was applied now, and what the row had until now. */
const replacedEpochs = (
  {epochs}: ShardTransaction,
  devices: readonly DeviceUpdate[],
  all: Numbers,
): readonly EpochNumbers[] => {
  const current = new Map(devices.map(({deviceKey, epoch}) => [deviceKey, epoch]));
  const stored = new Set(epochs);
  return [...all.values()]
    .filter((one) => {
      const {through, ahead} = one.numbers;
      return one.epoch < (current.get(one.deviceKey) ?? 0) && !stored.has(one) && (through > 0 || ahead.length > 0);
    })
    .sort((a, b) => a.deviceKey - b.deviceKey || a.epoch - b.epoch);
};

const statusesOf = ({locked}: ShardTransaction, changes: readonly DeviceChange[]): readonly StatusUpdate[] => {
  const before = new Map(locked.map((device) => [device.deviceKey, device]));
  return changes.map((change) => ({
    deviceKey: change.deviceKey,
    rejected: change.rejected,
    isNewest: isNewestOf(before.get(change.deviceKey), change),
  }));
};

const isNewestOf = (before: LockedDevice | undefined, {epoch, batchSeq}: DeviceChange): boolean =>
  before === undefined || epoch > before.epoch || (epoch === before.epoch && batchSeq > highestApplied(before.numbers));

interface Compared {
  readonly fresh: readonly Batch[];
  readonly known: readonly Batch[];
  /** Receipts of some of those that are known. */
  readonly stored: readonly StoredHash[];
}

/** Tells a batch that was sent again from one that took the number of another; what cannot be told is kept as well. */
const compareContents = async (
  transaction: ShardTransaction,
  {fresh, known, stored}: Compared,
  {now, newId}: WriterOptions,
): Promise<Pick<Written, 'duplicates' | 'conflicts' | 'unproved'>> => {
  const hashes = new Map([...stored, ...fresh].map((batch) => [nameOf(batch), batch.contentHash]));
  const missing = known.filter((batch) => !hashes.has(nameOf(batch)));
  if (missing.length > 0) {
    for (const receipt of await transaction.findReceipts(missing)) hashes.set(nameOf(receipt), receipt.contentHash);
  }
  const hashOf = (batch: Batch): Buffer | undefined => hashes.get(nameOf(batch));
  const duplicates = known.filter((batch) => hashOf(batch)?.equals(batch.contentHash) === true);
  const conflicts = known.filter((batch) => hashOf(batch)?.equals(batch.contentHash) === false);
  const unproved = known.filter((batch) => hashOf(batch) === undefined);
  if (conflicts.length + unproved.length > 0) {
    // One of an epoch that was replaced asks for nothing: the device has another by now. Of the others, which are sorted, the newest remains.
    const epochs = new Map(transaction.locked.map(({deviceKey, epoch}) => [deviceKey, epoch]));
    const byDevice = new Map(
      conflicts
        .filter(({deviceKey, epoch}) => epoch >= (epochs.get(deviceKey) ?? 0))
        .map((batch) => [batch.deviceKey, batch]),
    );
    await transaction.keepRefused({
      quarantined: [
        ...onceEach(conflicts).map((batch) => conflictRow(batch, newId)),
        ...onceEach(unproved).map((batch) => unprovedRow(batch, newId)),
      ],
      commands: Array.from(byDevice.values(), ({deviceKey, slot, epoch}) => ({
        commandId: newId(),
        requestId: newId(),
        deviceKey,
        slot,
        type: 'epoch.new',
        params: {epoch},
        priority: 'high',
        createdAtMs: undefined,
        lifetimeMs: EPOCH_COMMAND_LIFETIME_MS,
      })),
      today: dayOf(now()),
    });
  }
  return {duplicates, conflicts, unproved};
};

/** The same content may come several times in one go. */
const onceEach = (batches: readonly Batch[]): readonly Batch[] => [
  ...new Map(batches.map((batch) => [`${nameOf(batch)}/${batch.contentHash.toString('hex')}`, batch])).values(),
];

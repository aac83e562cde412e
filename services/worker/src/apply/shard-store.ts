/** What the shard writer needs of a shard: one transaction, in as few round trips as its rules allow. */
import {type SlotVerdict} from '@pisync/core/shards/slot-transaction';
import {type NewCommand} from '@pisync/core/commands/commands';
import {type AppliedNumbers} from './applied-numbers.ts';
import {type Batch, type BatchKey} from './batch.ts';
import {type QuarantineRow} from './quarantine-rows.ts';

/** One device's epoch. */
export interface EpochKey {
  readonly deviceKey: number;
  readonly epoch: number;
}

/** What is applied of one epoch. */
export interface EpochNumbers extends EpochKey {
  readonly numbers: AppliedNumbers;
}

/** The batch that a device's state is of, or equal to. */
interface StateVersion {
  readonly stateEpoch: number;
  readonly stateSeq: number;
}

/** A device whose row nobody else writes until the transaction ends. */
export interface LockedDevice extends EpochNumbers, StateVersion {
  /** Whose the key is. */
  readonly deviceId: string;
}

export interface OpenedDevices {
  readonly locked: readonly LockedDevice[];
  /** Keys of those whose row another transaction holds; nobody waits for it. Those that are neither locked nor busy have no row. */
  readonly busy: ReadonlySet<number>;
  /** Of the epochs asked for, those that were replaced and have something applied. Read after the locks: of devices that are not locked it means nothing. */
  readonly epochs: readonly EpochNumbers[];
}

/** What the new batches of a device make of its row. */
export interface DeviceUpdate extends EpochNumbers, StateVersion {
  /** By the clocks of those who received them; what is later than now by that of the shard counts as now. */
  readonly receivedAtMs: number;
  /** To be added. */
  readonly records: number;
  readonly syncs: number;
}

export interface StatusUpdate {
  readonly deviceKey: number;
  /** Whether its last batch of these could not be applied. */
  readonly rejected: boolean;
  /** Whether none with a higher number was applied: only then it tells a device that fails from one that does not. */
  readonly isNewest: boolean;
}

/** A sync, as an answer to commands. */
export interface SyncAnswer extends EpochKey {
  /** Ids of commands that it answers. */
  readonly cmdAcks: readonly string[];
  readonly receivedAtMs: number;
}

/** Everything sorted by device, epoch and number. */
export interface WindowChanges {
  /** Become receipts and records. */
  readonly applied: readonly Batch[];
  readonly quarantined: readonly QuarantineRow[];
  /** Replaced epochs. */
  readonly epochs: readonly EpochNumbers[];
  readonly devices: readonly DeviceUpdate[];
  /** What devices say of themselves, JSON. */
  readonly shadows: readonly {readonly deviceKey: number; readonly json: string}[];
  readonly statuses: readonly StatusUpdate[];
  readonly syncs: readonly SyncAnswer[];
  /** The UTC day of what is put into quarantine and of commands that are done. */
  readonly today: string;
}

/** Contents whose number was used before. */
export interface RefusedContents {
  readonly quarantined: readonly QuarantineRow[];
  readonly commands: readonly NewCommand[];
  readonly today: string;
}

export interface StoredHash extends Omit<BatchKey, 'deviceId' | 'slot'> {
  readonly contentHash: Buffer;
}

export interface ShardTransaction extends OpenedDevices {
  /**
   * Writes, and looks for receipts of the last days. @param known batches that were applied before
   * @param isLast whether to commit in the same go
   */
  write(changes: WindowChanges, known: readonly BatchKey[], isLast: boolean): Promise<readonly StoredHash[]>;
  /** Looks on all days. */
  findReceipts(known: readonly BatchKey[]): Promise<readonly StoredHash[]>;
  keepRefused(refused: RefusedContents): Promise<void>;
}

export interface TransactionRequest<T> {
  readonly shardId: number;
  readonly slots: readonly number[];
  /** Ascending. */
  readonly deviceKeys: readonly number[];
  readonly epochs: readonly EpochKey[];
  readonly work: (transaction: ShardTransaction) => Promise<T>;
  readonly deadline?: AbortSignal | undefined;
}

export interface ShardStore {
  /** One transaction of a shard, unless it does not own all the slots. @throws what the database threw; then nothing is written, or, when only the answer to the commit was lost, everything */
  transaction<T>(request: TransactionRequest<T>): Promise<SlotVerdict<T>>;
  /** Makes places for rows of these days (UTC) where there are none. @returns the days that were made */
  ensureDays(shardId: number, days: readonly string[]): Promise<readonly string[]>;
  /** Of these devices, those of which somebody has a row that a batch writes. Waits for none. */
  heldDevices(shardId: number, deviceKeys: readonly number[]): Promise<ReadonlySet<number>>;
  /** Whether the shard takes a write now, over another connection. Never rejects. */
  answers(shardId: number): Promise<boolean>;
  /** Whether its schema is older than what this release writes. */
  isOutdated(shardId: number): Promise<boolean>;
}

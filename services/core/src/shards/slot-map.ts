import {SLOTS} from '@pisync/contract/slots';
import {AppError} from '../errors/app-error.ts';

/**
 * Which shard owns which slot, as this process last read it. Only a cache: a shard's own `slot_owner` is the truth, and
 * who is told that a slot moved reloads. It survives the absence of the control database.
 */
export interface SlotMap {
  /** Grows with every move; -1 until the map has been read once. */
  readonly version: () => number;
  /** For readiness. @throws AppError `shard-unavailable` until the map has been read once. */
  check(): void;
  /** @throws AppError `shard-unavailable` until the map has been read once. */
  shardOf(slot: number): number;
  /** In ascending order; empty when unknown. */
  slotsOf(shardId: number): readonly number[];
  /** Reads the map now; concurrent calls share one read. @throws what the database threw, the old map stays. */
  reload(): Promise<void>;
}

export interface SlotMapRow {
  readonly slot: number;
  readonly shard: number;
  readonly epoch: number;
}

export const createSlotMap = (read: () => Promise<readonly SlotMapRow[]>): SlotMap => {
  let version = -1;
  let shardBySlot = new Int16Array(SLOTS).fill(-1);
  let reading: Promise<void> | undefined;

  const readOnce = async (): Promise<void> => {
    const rows = await read();
    if (rows.length !== SLOTS) {
      throw new AppError(
        'shard-unavailable',
        `the slot map has ${rows.length} of ${SLOTS} slots; has the migration of shard 0 finished?`,
      );
    }
    const next = new Int16Array(SLOTS).fill(-1);
    let nextVersion = 0;
    for (const row of rows) {
      next[row.slot] = row.shard;
      nextVersion += row.epoch;
    }
    // Epochs only grow, so a smaller sum is an answer that was overtaken.
    if (nextVersion < version) return;
    version = nextVersion;
    shardBySlot = next;
  };

  return {
    version: () => version,
    check() {
      if (version >= 0) return;
      throw new AppError('shard-unavailable', 'the slot map was not read yet; is shard 0 migrated and up?');
    },
    shardOf(slot) {
      const shard = shardBySlot[slot] ?? -1;
      if (shard >= 0) return shard;
      throw new AppError(
        'shard-unavailable',
        `the shard of slot ${slot} is not known yet; the control database has not answered`,
      );
    },
    slotsOf(shardId) {
      return Array.from(shardBySlot.keys()).filter((slot) => shardBySlot[slot] === shardId);
    },
    reload() {
      reading ??= readOnce().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
};

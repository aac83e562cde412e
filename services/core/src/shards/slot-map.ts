import {SLOTS} from '@pisync/contract/slots';
import {AppError} from '../errors/app-error.ts';
import {type KnownSlotMap} from './saved-slot-map.ts';

/**
 * Which shard owns which slot, as this process last read it, or as it was saved outside of the control database while that does not answer. Only a cache: a
 * shard's own `slot_owner` is the truth, and who is told that a slot moved reloads.
 */
export interface SlotMap {
  /** Undefined until the map has been read once. */
  readonly known: () => KnownSlotMap | undefined;
  /** Grows with every move; -1 until the map has been read once. */
  readonly version: () => number;
  /** For readiness. @throws AppError `shard-unavailable` until the map has been read once. */
  check(): void;
  /** @throws AppError `shard-unavailable` until the map has been read once. */
  shardOf(slot: number): number;
  /** In ascending order; empty when unknown. */
  slotsOf(shardId: number): readonly number[];
  /** Reads the map now; concurrent calls share one read. @throws what the database threw, when no newer map was saved either; the old one stays. */
  reload(): Promise<void>;
}

export interface SlotMapRow {
  readonly slot: number;
  readonly shard: number;
  readonly epoch: number;
}

/** @param readSaved asked when `read` fails */
export const createSlotMap = (
  read: () => Promise<readonly SlotMapRow[]>,
  readSaved: () => Promise<KnownSlotMap | undefined> = () => Promise.resolve(undefined),
): SlotMap => {
  let known: KnownSlotMap | undefined;
  /** Of the newest that the database gave: after a restore it may be lower than that of a map which was saved before. */
  let versionRead = -1;
  let reading: Promise<void> | undefined;

  const fromDatabase = async (): Promise<KnownSlotMap> => {
    const rows = await read();
    if (rows.length !== SLOTS) {
      throw new AppError(
        'shard-unavailable',
        `the slot map has ${rows.length} of ${SLOTS} slots; has the migration of shard 0 finished?`,
      );
    }
    const shards = new Array<number>(SLOTS).fill(-1);
    let version = 0;
    for (const row of rows) {
      shards[row.slot] = row.shard;
      version += row.epoch;
    }
    return {version, shards};
  };

  const readOnce = async (): Promise<void> => {
    let found: KnownSlotMap;
    try {
      found = await fromDatabase();
    } catch (error) {
      const saved = await readSaved();
      if (saved === undefined || saved.version <= (known?.version ?? -1)) throw error;
      known = saved;
      return;
    }
    // Epochs only grow, so a smaller sum is an answer that was overtaken.
    if (found.version < versionRead) return;
    versionRead = found.version;
    known = found;
  };

  return {
    known: () => known,
    version: () => known?.version ?? -1,
    check() {
      if (known !== undefined) return;
      throw new AppError('shard-unavailable', 'the slot map was not read yet; is shard 0 migrated and up?');
    },
    shardOf(slot) {
      const shard = known?.shards[slot] ?? -1;
      if (shard >= 0) return shard;
      throw new AppError(
        'shard-unavailable',
        `the shard of slot ${slot} is not known yet; the control database has not answered`,
      );
    },
    slotsOf(shardId) {
      return (known?.shards ?? []).flatMap((shard, slot) => (shard === shardId ? [slot] : []));
    },
    reload() {
      reading ??= readOnce().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
};

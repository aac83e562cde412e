/** The statements of services/worker/src/apply/statements.ts, as far as the laws look at what they do. */
import {type NewCommand} from '@pisync/core/commands/commands';
import {type AppliedNumbers} from '@pisync/worker/apply/applied-numbers';
import {type Batch, type BatchKey, recordCount} from '@pisync/worker/apply/batch';
import {type QuarantineRow} from '@pisync/worker/apply/quarantine-rows';
import {
  type DeviceUpdate,
  type EpochKey,
  type EpochNumbers,
  type LockedDevice,
  type StoredHash,
  type SyncAnswer,
} from '@pisync/worker/apply/shard-store';
import {DatabaseError} from './database-error.ts';
import {batchName, epochName, type KeptRow, type Tables} from './rows.ts';
import {type Session, type Statement} from './session.ts';

export const rowLock = (deviceKey: number): string => `device_state ${deviceKey}`;

/** Keys whose row was locked, those whose row somebody else has, and the rest: no row. */
interface Locked {
  readonly locked: readonly LockedDevice[];
  readonly busy: ReadonlySet<number>;
}

const rowOf = (tables: Tables, deviceKey: number): LockedDevice | undefined => {
  const row = tables.states.get(deviceKey);
  if (row === undefined) return undefined;
  const {deviceId, epoch, numbers, stateEpoch, stateSeq} = row;
  return {deviceKey, deviceId, epoch, numbers, stateEpoch, stateSeq};
};

/** `for update skip locked`. */
export const lockDevices =
  (deviceKeys: readonly number[]): Statement<Locked> =>
  (session) => {
    const there = deviceKeys.filter((deviceKey) => session.tables().states.has(deviceKey));
    const busy = new Set(there.filter((deviceKey) => !session.tryLock(rowLock(deviceKey))));
    const locked = there.filter((deviceKey) => !busy.has(deviceKey));
    return {locked: locked.flatMap((deviceKey) => rowOf(session.tables(), deviceKey) ?? []), busy};
  };

/** `for update`: waits, and then sees the new version of the row. */
export const lockDevicesWaiting =
  (deviceKeys: readonly number[]): Statement<Locked> =>
  async (session) => {
    const locked: LockedDevice[] = [];
    for (const deviceKey of deviceKeys) {
      if (!session.tables().states.has(deviceKey)) continue;
      await session.lock(rowLock(deviceKey));
      const row = rowOf(session.tables(), deviceKey);
      if (row !== undefined) locked.push(row);
    }
    return {locked, busy: new Set()};
  };

export const readDevices =
  (deviceKeys: readonly number[]): Statement<Locked> =>
  (session) => ({locked: deviceKeys.flatMap((deviceKey) => rowOf(session.tables(), deviceKey) ?? []), busy: new Set()});

export const findEpochs =
  (epochs: readonly EpochKey[]): Statement<readonly EpochNumbers[]> =>
  (session) =>
    epochs.flatMap(({deviceKey, epoch}) => {
      const numbers = session.tables().epochs.get(epochName(deviceKey, epoch));
      return numbers === undefined ? [] : [{deviceKey, epoch, numbers}];
    });

/** Of several days the newest. */
export const findReceipts =
  (known: readonly BatchKey[], fromDay: string): Statement<readonly StoredHash[]> =>
  (session) =>
    known.flatMap(({deviceKey, epoch, batchSeq}) => {
      const prefix = `${batchName(deviceKey, epoch, batchSeq)}/`;
      const days = [...session.tables().days]
        .filter((day) => day >= fromDay)
        .sort()
        .reverse();
      for (const day of days) {
        const own = session.written.receipts.find(
          (row) => row.day === day && batchName(row.deviceKey, row.epoch, row.batchSeq) === prefix.slice(0, -1),
        );
        const row = own ?? session.tables().receipts.get(prefix + day);
        if (row !== undefined) return [{deviceKey, epoch, batchSeq, contentHash: row.contentHash}];
      }
      return [];
    });

const needDay = (session: Session, table: string, day: string): void => {
  if (session.tables().days.has(day)) return;
  throw new DatabaseError('23514', `no partition of relation "${table}" found for row of ${day}`);
};

export const insertReceipts =
  (batches: readonly Batch[]): Statement<void> =>
  async (session) => {
    for (const batch of batches) {
      const {deviceKey, epoch, batchSeq, contentHash, receivedDay: day, content} = batch;
      needDay(session, 'receipt', day);
      const key = `${batchName(deviceKey, epoch, batchSeq)}/${day}`;
      // Who inserts a key that another transaction has inserted waits for its end.
      await session.lock(`receipt ${key}`);
      const isThere =
        session.tables().receipts.has(key) ||
        session.written.receipts.some(
          (row) => row.day === day && row.deviceKey === deviceKey && row.epoch === epoch && row.batchSeq === batchSeq,
        );
      if (isThere) throw new DatabaseError('23505', 'duplicate key value violates unique constraint "receipt_pkey"');
      session.written.receipts.push({
        deviceKey,
        epoch,
        batchSeq,
        day,
        contentHash,
        outcome: content.kind === 'good' ? 'applied' : 'rejected',
        recordCount: recordCount(batch),
        badCount: content.kind === 'good' ? content.bad.length : 0,
      });
    }
  };

export const insertRecords =
  (batches: readonly Batch[]): Statement<void> =>
  (session) => {
    for (const {deviceKey, epoch, batchSeq, content, receivedDay} of batches) {
      if (content.kind !== 'good') continue;
      if (content.records.length > 0) needDay(session, 'record', receivedDay);
      for (const {ordinal, seq, data} of content.records) {
        session.written.records.push({deviceKey, epoch, batchSeq, ordinal, seq, data});
      }
    }
  };

const MAX_KEPT = 20;

const keptOf = ({batch, kind, reason, detail}: QuarantineRow): KeptRow => {
  const {deviceKey, epoch, batchSeq, contentHash} = batch;
  return {deviceKey, epoch, batchSeq, kind, reason, contentHash, detail: JSON.stringify(detail)};
};

export const insertQuarantine =
  (rows: readonly QuarantineRow[], today: string): Statement<void> =>
  (session) => {
    if (rows.length > 0) needDay(session, 'quarantine', today);
    for (const row of rows) session.written.kept.push(keptOf(row));
  };

/** Those that came before are neither kept nor counted again. */
export const keepRefused =
  (rows: readonly QuarantineRow[], today: string): Statement<void> =>
  (session) => {
    if (rows.length > 0) needDay(session, 'quarantine', today);
    const before = [...session.tables().kept, ...session.written.kept];
    for (const one of rows) {
      const row = keptOf(one);
      // No world lasts as long as they are remembered.
      const ofKind = before.filter(({deviceKey, kind}) => deviceKey === row.deviceKey && kind === row.kind);
      const isKnown = ofKind.some(
        ({epoch, batchSeq, contentHash}) =>
          epoch === row.epoch && batchSeq === row.batchSeq && contentHash.equals(row.contentHash),
      );
      if (isKnown) continue;
      put(session, ({conflicts}) => conflicts.set(row.deviceKey, (conflicts.get(row.deviceKey) ?? 0) + 1));
      if (ofKind.length < MAX_KEPT) session.written.kept.push(row);
    }
  };

const put = (session: Session, change: (tables: Tables) => void): void => void session.written.changes.push(change);

export const putEpochs =
  (epochs: readonly EpochNumbers[]): Statement<void> =>
  async (session) => {
    for (const {deviceKey, epoch, numbers} of epochs) {
      await session.lock(`device_epoch ${epochName(deviceKey, epoch)}`);
      put(session, (tables) => tables.epochs.set(epochName(deviceKey, epoch), numbers));
    }
  };

/** Totals are added to what the row has by then; the rest replaces it. */
export const updateDevices =
  (devices: readonly DeviceUpdate[]): Statement<void> =>
  async (session) => {
    for (const {deviceKey, epoch, numbers, stateEpoch, stateSeq, records, syncs} of devices) {
      await session.lock(rowLock(deviceKey));
      put(session, (tables) => {
        const row = tables.states.get(deviceKey);
        if (row === undefined) return;
        const {deviceId, recordsTotal, syncsTotal} = row;
        tables.states.set(deviceKey, {
          ...{deviceId, epoch, numbers, stateEpoch, stateSeq},
          ...{recordsTotal: recordsTotal + records, syncsTotal: syncsTotal + syncs},
        });
      });
    }
  };

export const putShadows =
  (shadows: readonly {readonly deviceKey: number; readonly json: string}[]): Statement<void> =>
  (session) => {
    for (const {deviceKey, json} of shadows) put(session, (tables) => tables.shadows.set(deviceKey, json));
  };

/** A device has one open command of a type. */
export const insertCommands =
  (commands: readonly NewCommand[], nowMs: number): Statement<void> =>
  (session) => {
    for (const {slot: _, createdAtMs = nowMs, lifetimeMs, ...command} of commands) {
      put(session, (tables) => {
        const key = `${command.deviceKey}/${command.type}`;
        const before = tables.commands.get(key);
        if (before?.requestId === command.requestId) return;
        const isOpen = before !== undefined && before.deliveredAtMs === undefined;
        tables.commands.set(key, {
          ...{...command, createdAtMs, expiresAtMs: createdAtMs + lifetimeMs},
          ...(isOpen ? {commandId: before.commandId} : {}),
          deliveredAtMs: undefined,
        });
      });
    }
  };

/** A sync closes the commands that it names, and that of a newer epoch the one that asked for it. */
export const closeCommands =
  (syncs: readonly SyncAnswer[]): Statement<void> =>
  (session) => {
    for (const {deviceKey, epoch, cmdAcks} of syncs) {
      put(session, ({commands}) => {
        for (const type of ['sync.full', 'sync.delta', 'epoch.new'] as const) {
          const command = commands.get(`${deviceKey}/${type}`);
          if (command === undefined) continue;
          const isAnswer =
            cmdAcks.includes(command.commandId) || (type === 'epoch.new' && epoch > Number(command.params.epoch ?? 0));
          if (isAnswer) commands.delete(`${deviceKey}/${type}`);
        }
      });
    }
  };

export const appliedOf = (tables: Tables, deviceKey: number, epoch: number): AppliedNumbers | undefined => {
  const row = tables.states.get(deviceKey);
  return row?.epoch === epoch ? row.numbers : tables.epochs.get(epochName(deviceKey, epoch));
};

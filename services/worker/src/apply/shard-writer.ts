import {insertCommands} from '@pisync/core/commands/commands';
import {LATE_AFTER_MS} from '@pisync/core/devices/device-status';
import {type SlotVerdict, withOwnedSlots} from '@pisync/core/shards/slot-transaction';
import {allAnswered} from '@pisync/core/shards/all-answered';
import type pg from 'pg';
import {type Batch, type BatchKey, compareBatches, isSameBatch, recordCount} from './batch.ts';
import {type DeviceChange, summarise} from './device-change.ts';
import {
  byteaArray,
  dateArray,
  int2Array,
  int4Array,
  int8Array,
  jsonbArray,
  textArray,
  timestamptzArray,
} from './pg-array.ts';
import {conflictRow, type QuarantineRow, quarantineRows} from './quarantine-rows.ts';
import * as sql from './statements.ts';

/** What one transaction made of its batches; every batch given is in exactly one of the three. */
export interface Written {
  readonly applied: readonly Batch[];
  /** Applied earlier with the same content: nothing to do. */
  readonly duplicates: readonly Batch[];
  /** Their number was used before with other content. */
  readonly conflicts: readonly Batch[];
  /** How far the devices of `applied` now are. */
  readonly positions: readonly DevicePosition[];
}

export interface DevicePosition {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly appliedThrough: number;
}

export interface WriterOptions {
  readonly now: () => number;
  readonly newId: () => string;
  /** See {@link withOwnedSlots}. */
  readonly deadline?: AbortSignal;
}

/** How long a device may take to hear that it must begin a new epoch. */
const EPOCH_COMMAND_LIFETIME_MS = 30 * 86_400_000;

/** Applies batches of one shard in one transaction. @throws what the database threw; then nothing is written. */
export const writeBatches = (
  pool: pg.Pool,
  batches: readonly Batch[],
  options: WriterOptions,
): Promise<SlotVerdict<Written>> =>
  withOwnedSlots(
    pool,
    batches.map(({slot}) => slot),
    (client) => write(client, batches, options),
    options.deadline,
  );

const write = async (client: pg.PoolClient, batches: readonly Batch[], options: WriterOptions): Promise<Written> => {
  const sorted = [...batches].sort(compareBatches);
  const {firsts, repeats} = splitRepeats(sorted);
  const {fresh, known} = await insertReceipts(client, firsts);
  const {duplicates, conflicts} = await compareWithReceipts(client, fresh, [...known, ...repeats].sort(compareBatches));

  const changes = summarise(fresh);
  await allAnswered([
    insertRecords(client, fresh),
    insertQuarantine(client, [...fresh.flatMap(quarantineRows), ...conflicts.map(conflictRow)]),
    lockDevices(client, changes),
  ]);
  const positions = await updateDevices(client, changes, options.now());
  if (conflicts.length > 0) await askForNewEpoch(client, conflicts, options);
  return {applied: fresh, duplicates, conflicts, positions};
};

/** One statement may insert a key once: batches that come twice in one go are looked at like those of another time. */
const splitRepeats = (
  sorted: readonly Batch[],
): {readonly firsts: readonly Batch[]; readonly repeats: readonly Batch[]} => {
  const firsts: Batch[] = [];
  const repeats: Batch[] = [];
  for (const batch of sorted) {
    const last = firsts.at(-1);
    (last !== undefined && isSameBatch(last, batch) ? repeats : firsts).push(batch);
  }
  return {firsts, repeats};
};

const keyArrays = (batches: readonly BatchKey[]): readonly [Buffer, Buffer, Buffer] => [
  int8Array(batches.map(({deviceKey}) => deviceKey)),
  int4Array(batches.map(({epoch}) => epoch)),
  int8Array(batches.map(({batchSeq}) => batchSeq)),
];

const nameOf = ({deviceKey, epoch, batchSeq}: Pick<BatchKey, 'deviceKey' | 'epoch' | 'batchSeq'>): string =>
  `${deviceKey}/${epoch}/${batchSeq}`;

const insertReceipts = async (
  client: pg.PoolClient,
  batches: readonly Batch[],
): Promise<{readonly fresh: readonly Batch[]; readonly known: readonly Batch[]}> => {
  const inserted = await client.query<BatchKey>({
    ...sql.INSERT_RECEIPTS,
    values: [
      ...keyArrays(batches),
      int2Array(batches.map(({slot}) => slot)),
      byteaArray(batches.map(({contentHash}) => contentHash)),
      textArray(batches.map(({content}) => (content.kind === 'good' ? 'applied' : 'rejected'))),
      int4Array(batches.map(({content}) => (content.kind === 'good' ? content.records.length : 0))),
      int4Array(batches.map(({content}) => (content.kind === 'good' ? content.bad.length : 0))),
      textArray(batches.map(({mode}) => mode)),
      textArray(batches.map(({reason}) => reason)),
      dateArray(batches.map(({receivedDay}) => receivedDay)),
      timestamptzArray(batches.map(({receivedAtMs}) => receivedAtMs)),
    ],
  });
  if (inserted.rowCount === batches.length) return {fresh: batches, known: []};
  const names = new Set(inserted.rows.map(nameOf));
  return {
    fresh: batches.filter((batch) => names.has(nameOf(batch))),
    known: batches.filter((batch) => !names.has(nameOf(batch))),
  };
};

/** Tells a batch that was sent again from one that took the number of another. */
const compareWithReceipts = async (
  client: pg.PoolClient,
  fresh: readonly Batch[],
  known: readonly Batch[],
): Promise<{readonly duplicates: readonly Batch[]; readonly conflicts: readonly Batch[]}> => {
  if (known.length === 0) return {duplicates: [], conflicts: []};
  const found = await client.query<BatchKey & {contentHash: Buffer}>({
    ...sql.FIND_RECEIPTS,
    values: [...keyArrays(known)],
  });
  const hashes = new Map(found.rows.map((row) => [nameOf(row), row.contentHash]));
  for (const batch of fresh) hashes.set(nameOf(batch), batch.contentHash);
  const isSame = (batch: Batch): boolean => hashes.get(nameOf(batch))?.equals(batch.contentHash) === true;
  return {duplicates: known.filter(isSame), conflicts: known.filter((batch) => !isSame(batch))};
};

const insertRecords = async (client: pg.PoolClient, fresh: readonly Batch[]): Promise<void> => {
  const records = fresh.flatMap(({content}) => (content.kind === 'good' ? content.records : []));
  if (records.length === 0) return;
  // PostgreSQL counts elements from 1.
  const batchOf = fresh.flatMap((batch, index) => new Array<number>(recordCount(batch)).fill(index + 1));
  const [deviceKeys, epochs, batchSeqs] = keyArrays(fresh);
  await client.query({
    ...sql.INSERT_RECORDS,
    values: [
      deviceKeys,
      int2Array(fresh.map(({slot}) => slot)),
      epochs,
      batchSeqs,
      dateArray(fresh.map(({receivedDay}) => receivedDay)),
      timestamptzArray(fresh.map(({receivedAtMs}) => receivedAtMs)),
      int4Array(batchOf),
      int8Array(records.map(({seq}) => seq)),
      textArray(records.map(({kind}) => kind)),
      timestamptzArray(records.map(({timeMs}) => timeMs)),
      jsonbArray(records.map(({data}) => data)),
    ],
  });
};

const insertQuarantine = async (client: pg.PoolClient, rows: readonly QuarantineRow[]): Promise<void> => {
  if (rows.length === 0) return;
  const [deviceKeys, epochs, batchSeqs] = keyArrays(rows.map(({batch}) => batch));
  await client.query({
    ...sql.INSERT_QUARANTINE,
    values: [
      deviceKeys,
      int2Array(rows.map(({batch}) => batch.slot)),
      epochs,
      batchSeqs,
      textArray(rows.map(({kind}) => kind)),
      textArray(rows.map(({reason}) => reason)),
      jsonbArray(rows.map(({detail}) => JSON.stringify(detail))),
      byteaArray(rows.map(({payload}) => payload)),
    ],
  });
};

const lockDevices = async (client: pg.PoolClient, changes: readonly DeviceChange[]): Promise<void> => {
  if (changes.length === 0) return;
  const deviceKeys = int8Array(changes.map(({deviceKey}) => deviceKey));
  const locked = await client.query({...sql.LOCK_STATES, values: [deviceKeys]});
  if (locked.rowCount === changes.length) return;
  const slots = int2Array(changes.map(({slot}) => slot));
  const epochs = int4Array(changes.map(({epoch}) => epoch));
  await client.query({...sql.ENSURE_STATES, values: [deviceKeys, slots, epochs]});
  await client.query({...sql.LOCK_STATES, values: [deviceKeys]});
};

const updateDevices = async (
  client: pg.PoolClient,
  changes: readonly DeviceChange[],
  nowMs: number,
): Promise<readonly DevicePosition[]> => {
  if (changes.length === 0) return [];
  const deviceKeys = int8Array(changes.map(({deviceKey}) => deviceKey));
  const epochs = int4Array(changes.map(({epoch}) => epoch));
  const receivedAt = timestamptzArray(changes.map(({receivedAtMs}) => receivedAtMs));
  const states = {
    ...sql.UPDATE_STATES,
    values: [
      deviceKeys,
      epochs,
      jsonbArray(changes.map(({state}) => state?.json)),
      int4Array(changes.map(({state}) => state?.epoch ?? 0)),
      int8Array(changes.map(({state}) => state?.batchSeq ?? 0)),
      receivedAt,
      int8Array(changes.map(({records}) => records)),
      int8Array(changes.map(({syncs}) => syncs)),
    ],
  };
  // A batch that waited for more than a day says nothing of how its device is now; the sweep will.
  const recent = changes.filter(({receivedAtMs}) => nowMs - receivedAtMs <= LATE_AFTER_MS);
  const statuses = {
    ...sql.UPDATE_STATUSES,
    values: [
      int8Array(recent.map(({deviceKey}) => deviceKey)),
      textArray(recent.map(({rejected}) => (rejected ? 'failing' : 'on_time'))),
    ],
  };
  const finished = {
    ...sql.FINISH_COMMANDS,
    values: [deviceKeys, epochs, changes.map(({isFull}) => isFull), receivedAt],
  };
  const [updated] = await allAnswered([
    client.query<DevicePosition>(states),
    client.query(statuses),
    client.query(finished),
  ]);
  return updated.rows;
};

const askForNewEpoch = async (
  client: pg.PoolClient,
  conflicts: readonly Batch[],
  {now, newId}: WriterOptions,
): Promise<void> => {
  // Sorted by key, so that the newest epoch of a device is what remains.
  const byDevice = new Map(conflicts.map((batch) => [batch.deviceKey, batch]));
  const createdAtMs = now();
  await insertCommands(
    client,
    Array.from(byDevice.values(), ({deviceKey, slot, epoch}) => ({
      commandId: newId(),
      requestId: newId(),
      deviceKey,
      slot,
      type: 'epoch.new',
      params: {epoch},
      priority: 'high',
      createdAtMs,
      expiresAtMs: createdAtMs + EPOCH_COMMAND_LIFETIME_MS,
    })),
  );
};

import {createSingleFlight} from '@pisync/core/cache/single-flight';
import {insertCommands} from '@pisync/core/commands/commands';
import {allAnswered, inOneGo} from '@pisync/core/shards/all-answered';
import {dayOf, ensurePartitions} from '@pisync/core/shards/partitions';
import {SCHEMA_VERSION, schemaVersion} from '@pisync/core/shards/migrate';
import {type Shards} from '@pisync/core/shards/shards';
import {inSlotTransaction} from '@pisync/core/shards/slot-transaction';
import {commitProbe, withinDeadline} from '@pisync/core/shards/write-probe';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';
import type pg from 'pg';
import {formatRanges, parseRanges} from './applied-numbers.ts';
import {type Batch, type BatchKey, recordCount} from './batch.ts';
import {
  boolArray,
  byteaArray,
  dateArray,
  int4Array,
  int8Array,
  jsonbArray,
  textArray,
  timestamptzArray,
} from './pg-array.ts';
import {type QuarantineRow} from './quarantine-rows.ts';
import {
  type EpochKey,
  type EpochNumbers,
  type OpenedDevices,
  type RefusedContents,
  type ShardStore,
  type ShardTransaction,
  type StoredHash,
  type WindowChanges,
} from './shard-store.ts';
import * as sql from './statements.ts';

const DAY_MS = 86_400_000;
/** Where a receipt is looked for first: what is sent again is so after seconds, or after a day. Clocks of servers differ around midnight. */
const RECENT = {fromMs: -7 * DAY_MS, toMs: DAY_MS} as const;

/** @param now milliseconds since 1970 */
export const createPgShardStore = (shards: Pick<Shards, 'pool'>, now: () => number): ShardStore => ({
  transaction: ({shardId, slots, deviceKeys, epochs, work, deadline}) =>
    inSlotTransaction(shards.pool(shardId, 'ingest'), {
      slots,
      open: (client) => openDevices(client, deviceKeys, epochs),
      work: (client, opened, commit) => work(transactionOf(client, opened, commit, now)),
      deadline,
    }),
  ensureDays: (shardId, days) =>
    ensurePartitions(shards.pool(shardId, 'ingest'), days, {nowMs: now(), signal: AbortSignal.timeout(MAKE_DAYS_MS)}),
  heldDevices: (shardId, deviceKeys) =>
    withinDeadline(shards.pool(shardId, 'ingest'), ASK_MS, async (client) => {
      const found = await client.query<{deviceKey: number}>({...sql.FIND_HELD, values: [int8Array(deviceKeys)]});
      return new Set(found.rows.map(({deviceKey}) => deviceKey));
    }),
  answers: createAsk(shards),
  isOutdated: (shardId) =>
    withinDeadline(
      shards.pool(shardId, 'job'),
      ASK_MS,
      async (client) => (await schemaVersion(client)) < SCHEMA_VERSION,
    ),
});

/** Far above what a commit takes. A shard that needs longer is too slow for others to wait for. */
const ASK_MS = 1_000;
/** Tables and indexes take tenths of a second. Longer only when somebody holds a lock, and then the window is tried again. */
const MAKE_DAYS_MS = 2_000;

/** Those who ask at the same moment share an answer, and the connection. */
const createAsk = (shards: Pick<Shards, 'pool'>): ShardStore['answers'] => {
  const flight = createSingleFlight<boolean>();
  const ask = async (shardId: number): Promise<boolean> => {
    try {
      const work = withinDeadline(shards.pool(shardId, 'job'), ASK_MS, commitProbe);
      await withTimeout(work, ASK_MS, `no answer within ${ASK_MS} ms`);
      return true;
    } catch {
      return false;
    }
  };
  return (shardId) => flight(String(shardId), () => ask(shardId));
};

interface NumbersRow {
  readonly deviceKey: number;
  readonly epoch: number;
  readonly through: number;
  readonly ahead: string | null;
}

interface LockedRow extends NumbersRow {
  readonly deviceId: string;
  readonly stateEpoch: number;
  readonly stateSeq: number;
}

type LockRow =
  (LockedRow & {readonly busy: false}) | {readonly deviceKey: number; readonly epoch: null; readonly busy: boolean};

const numbersOf = <Row extends NumbersRow>({through, ahead, ...row}: Row) => ({
  ...row,
  numbers: {through, ahead: parseRanges(ahead)},
});

const openDevices = async (
  client: pg.PoolClient,
  deviceKeys: readonly number[],
  epochs: readonly EpochKey[],
): Promise<OpenedDevices> => {
  const [locked, replaced] = await allAnswered([
    client.query<LockRow>({...sql.LOCK_DEVICES, values: [int8Array(deviceKeys)]}),
    client.query<NumbersRow>({
      ...sql.FIND_EPOCHS,
      values: [int8Array(epochs.map(({deviceKey}) => deviceKey)), int4Array(epochs.map(({epoch}) => epoch))],
    }),
  ]);
  const missing = locked.rows.filter((row) => row.epoch === null);
  return {
    locked: locked.rows.filter((row) => row.epoch !== null).map(({busy: _, ...row}) => numbersOf(row)),
    busy: new Set(missing.filter(({busy}) => busy).map(({deviceKey}) => deviceKey)),
    epochs: replaced.rows.map(numbersOf),
  };
};

const transactionOf = (
  client: pg.PoolClient,
  opened: OpenedDevices,
  commit: () => Promise<void>,
  now: () => number,
): ShardTransaction => ({
  ...opened,
  async write(changes, known, isLast) {
    const small = inOneGo(client, () => statementsOf(client, changes));
    // Most of the bytes. They are made ready while the server is at the others.
    const last = inOneGo(client, () => {
      const recent = findRecent(client, known, now());
      return [recent, insertRecords(client, changes.applied), isLast ? commit() : Promise.resolve()] as const;
    });
    // In the order of sending: after the first that fails all others do.
    await allAnswered([...small, ...last]);
    return last[0];
  },
  async findReceipts(known) {
    return (await client.query<StoredHash>({...sql.FIND_RECEIPTS, values: [...keyArrays(known)]})).rows;
  },
  async keepRefused({quarantined, commands, today}: RefusedContents) {
    const hashes = byteaArray(quarantined.map(({batch}) => batch.contentHash));
    await allAnswered([
      client.query({...sql.FORGET_REFUSED, values: [int8Array(quarantined.map(({batch}) => batch.deviceKey))]}),
      client.query({...sql.KEEP_REFUSED, values: [...quarantineArrays(quarantined), hashes, today]}),
      ...(commands.length === 0 ? [] : [insertCommands(client, commands)]),
    ]);
  },
});

const findRecent = async (
  client: pg.PoolClient,
  known: readonly BatchKey[],
  nowMs: number,
): Promise<readonly StoredHash[]> => {
  if (known.length === 0) return [];
  const days = [dayOf(nowMs + RECENT.fromMs), dayOf(nowMs + RECENT.toMs)];
  return (await client.query<StoredHash>({...sql.FIND_RECENT_RECEIPTS, values: [...keyArrays(known), ...days]})).rows;
};

/** In an order that every writer has; what waits for nobody, the records, is not among them. */
const statementsOf = (client: pg.PoolClient, changes: WindowChanges): readonly Promise<unknown>[] => {
  const {applied, quarantined, epochs, devices, shadows, statuses, syncs, today} = changes;
  if (applied.length === 0) return [];
  return [
    insertReceipts(client, applied),
    ...(quarantined.length > 0 ? [insertQuarantine(client, quarantined, today)] : []),
    ...(epochs.length > 0 ? [putEpochs(client, epochs)] : []),
    client.query({
      ...sql.UPDATE_DEVICES,
      values: [
        ...numbersArrays(devices),
        int4Array(devices.map(({stateEpoch}) => stateEpoch)),
        int8Array(devices.map(({stateSeq}) => stateSeq)),
        timestamptzArray(devices.map(({receivedAtMs}) => receivedAtMs)),
        int8Array(devices.map(({records}) => records)),
        int8Array(devices.map(({syncs: count}) => count)),
      ],
    }),
    ...(shadows.length > 0
      ? [
          client.query({
            ...sql.PUT_SHADOWS,
            values: [int8Array(shadows.map(({deviceKey}) => deviceKey)), jsonbArray(shadows.map(({json}) => json))],
          }),
        ]
      : []),
    client.query({
      ...sql.UPDATE_STATUSES,
      values: [
        int8Array(statuses.map(({deviceKey}) => deviceKey)),
        boolArray(statuses.map(({rejected}) => rejected)),
        boolArray(statuses.map(({isNewest}) => isNewest)),
      ],
    }),
    client.query({
      ...sql.CLOSE_COMMANDS,
      values: [
        int8Array(syncs.map(({deviceKey}) => deviceKey)),
        int4Array(syncs.map(({epoch}) => epoch)),
        timestamptzArray(syncs.map(({receivedAtMs}) => receivedAtMs)),
        int8Array(syncs.flatMap(({deviceKey, cmdAcks}) => cmdAcks.map(() => deviceKey))),
        syncs.flatMap(({cmdAcks}) => cmdAcks),
        today,
      ],
    }),
  ];
};

const keyArrays = (batches: readonly Omit<BatchKey, 'deviceId' | 'slot'>[]): readonly [Buffer, Buffer, Buffer] => [
  int8Array(batches.map(({deviceKey}) => deviceKey)),
  int4Array(batches.map(({epoch}) => epoch)),
  int8Array(batches.map(({batchSeq}) => batchSeq)),
];

const numbersArrays = (rows: readonly EpochNumbers[]): readonly [Buffer, Buffer, Buffer, Buffer] => [
  int8Array(rows.map(({deviceKey}) => deviceKey)),
  int4Array(rows.map(({epoch}) => epoch)),
  int8Array(rows.map(({numbers}) => numbers.through)),
  textArray(rows.map(({numbers}) => formatRanges(numbers.ahead))),
];

const putEpochs = (client: pg.PoolClient, epochs: readonly EpochNumbers[]): Promise<unknown> =>
  client.query({...sql.PUT_EPOCHS, values: [...numbersArrays(epochs)]});

const insertReceipts = (client: pg.PoolClient, batches: readonly Batch[]): Promise<unknown> =>
  client.query({
    ...sql.INSERT_RECEIPTS,
    values: [
      ...keyArrays(batches),
      byteaArray(batches.map(({contentHash}) => contentHash)),
      textArray(batches.map(({content}) => (content.kind === 'good' ? 'applied' : 'rejected'))),
      int4Array(batches.map(recordCount)),
      int4Array(batches.map(({content}) => (content.kind === 'good' ? content.bad.length : 0))),
      textArray(batches.map(({mode}) => mode)),
      textArray(batches.map(({reason}) => reason)),
      dateArray(batches.map(({receivedDay}) => receivedDay)),
      timestamptzArray(batches.map(({receivedAtMs}) => receivedAtMs)),
    ],
  });

const insertRecords = (client: pg.PoolClient, batches: readonly Batch[]): Promise<unknown> => {
  const records = batches.flatMap(({content}) => (content.kind === 'good' ? content.records : []));
  if (records.length === 0) return Promise.resolve();
  // PostgreSQL counts elements from 1.
  const batchOf = batches.flatMap((batch, index) => new Array<number>(recordCount(batch)).fill(index + 1));
  return client.query({
    ...sql.INSERT_RECORDS,
    values: [
      ...keyArrays(batches),
      dateArray(batches.map(({receivedDay}) => receivedDay)),
      timestamptzArray(batches.map(({receivedAtMs}) => receivedAtMs)),
      int4Array(batchOf),
      int4Array(records.map(({ordinal}) => ordinal)),
      int8Array(records.map(({seq}) => seq)),
      textArray(records.map(({kind}) => kind)),
      timestamptzArray(records.map(({timeMs}) => timeMs)),
      boolArray(records.map(({badTime}) => badTime)),
      jsonbArray(records.map(({data}) => data)),
    ],
  });
};

const quarantineArrays = (rows: readonly QuarantineRow[]): readonly unknown[] => [
  rows.map(({id}) => id),
  ...keyArrays(rows.map(({batch}) => batch)),
  textArray(rows.map(({kind}) => kind)),
  textArray(rows.map(({reason}) => reason)),
  jsonbArray(rows.map(({detail}) => JSON.stringify(detail))),
  byteaArray(rows.map(({payload}) => payload)),
];

const insertQuarantine = (client: pg.PoolClient, rows: readonly QuarantineRow[], today: string): Promise<unknown> =>
  client.query({...sql.INSERT_QUARANTINE, values: [...quarantineArrays(rows), today]});

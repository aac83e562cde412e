/** Reads devices from one shard, as the judge wants them. Only rows of slots that the shard owns count: a slot that moved away leaves its rows for a while. */
import pg from 'pg';
import {recordsDigest, valueDigest} from '../ledger/entry.ts';
import type {DeviceRecord, JsonObject} from '../client/wire.ts';
import type {Applied, Range} from './applied.ts';
import {batchKey} from './claims.ts';
import type {Quarantined, StoredDevice, StoredReceipt, StoredRecords, StoredState} from './compare.ts';

export interface ShardReader {
  readonly name: string;
  /** @returns those of the devices that live here, by id. */
  read(deviceIds: readonly string[]): Promise<ReadonlyMap<string, StoredDevice>>;
  /** @returns keys of the applied batches of each device, by id: enough to see whether the queues are drained. */
  appliedKeys(deviceIds: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>>;
  close(): Promise<void>;
}

interface DeviceRow {
  readonly device_key: string;
  readonly device_id: string;
}
interface ReceiptRow {
  readonly device_key: string;
  readonly epoch: number;
  readonly batch_seq: string;
  readonly hash: string;
  readonly outcome: 'applied' | 'rejected';
  readonly record_count: number;
  readonly bad_count: number;
}
interface RecordRow {
  readonly device_key: string;
  readonly epoch: number;
  readonly batch_seq: string;
  readonly ordinal: number;
  readonly seq: string;
  readonly kind: string;
  readonly device_time_ms: string | null;
  readonly data: JsonObject | null;
}
interface EpochRow {
  readonly device_key: string;
  readonly epoch: number;
  readonly applied_through: string;
  readonly ahead: readonly Range[];
}
interface StateRow extends EpochRow {
  readonly state_epoch: number;
  readonly state_seq: string;
  readonly state: unknown;
  readonly records_total: string;
  readonly syncs_total: string;
}
interface QuarantineRow {
  readonly device_key: string;
  readonly epoch: number;
  readonly batch_seq: string;
  readonly is_rejected: boolean;
  readonly refused: readonly string[];
  readonly parts: number;
}

const DEVICES = `select d.device_key::text, d.device_id::text from device d
  join slot_owner o on o.slot = (d.device_key >> 32) and o.state = 'owned' where d.device_id = any($1::uuid[])`;
const RECEIPTS = `select device_key::text, epoch, batch_seq::text, encode(content_hash, 'hex') as hash, outcome, record_count, bad_count
  from receipt where device_key = any($1::bigint[])`;
const RECORDS = `select device_key::text, epoch, batch_seq::text, ordinal, seq::text, kind,
  round(extract(epoch from device_time) * 1000)::text as device_time_ms, data
  from record where device_key = any($1::bigint[]) order by record.device_key, record.epoch, record.batch_seq, record.ordinal`;
/** As JSON, because the driver leaves a multirange as text. */
const AHEAD = `coalesce((select jsonb_agg(jsonb_build_array(lower(r), upper(r)) order by r) from unnest(ahead) r), '[]') as ahead`;
const STATES = `select s.device_key::text, epoch, applied_through::text, ${AHEAD}, state_epoch, state_seq::text, state,
  records_total::text, syncs_total::text
  from device_state s left join device_shadow h on h.device_key = s.device_key where s.device_key = any($1::bigint[])`;
const EPOCHS = `select device_key::text, epoch, applied_through::text, ${AHEAD} from device_epoch where device_key = any($1::bigint[])`;
/** Only what kept its bytes: a note that something was there is no copy of it. */
const QUARANTINE = `select device_key::text, epoch, batch_seq::text, bool_or(kind = 'batch') as is_rejected,
  coalesce(array_agg(detail ->> 'contentHash') filter (where kind in ('conflict', 'unproved') and detail ? 'contentHash'), '{}') as refused,
  count(distinct detail ->> 'pointer') filter (where kind = 'record')::int as parts
  from quarantine where device_key = any($1::bigint[]) and payload is not null group by device_key, epoch, batch_seq`;

const groupBy = <T>(rows: readonly T[], key: (row: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group === undefined) groups.set(key(row), [row]);
    else group.push(row);
  }
  return groups;
};

/** @param rows in the order of their places */
const storedRecords = (rows: readonly RecordRow[]): StoredRecords => {
  const records: DeviceRecord[] = rows.map((row) => ({
    s: Number(row.seq),
    k: row.kind,
    t: Number(row.device_time_ms),
    d: row.data ?? {},
  }));
  return {
    rows: rows.length,
    distinct: new Set(rows.map(({seq}) => seq)).size,
    ordinals: new Set(rows.map(({ordinal}) => ordinal)).size,
    lastOrdinal: rows.at(-1)?.ordinal ?? -1,
    digest: recordsDigest(records),
  };
};

const storedApplied = ({applied_through, ahead}: EpochRow): Applied => ({through: Number(applied_through), ahead});

const storedState = (row: StateRow | undefined, replaced: readonly EpochRow[]): StoredState | undefined =>
  row === undefined
    ? undefined
    : {
        epoch: row.epoch,
        applied: storedApplied(row),
        replaced: replaced.map((one) => ({epoch: one.epoch, applied: storedApplied(one)})),
        stateEpoch: row.state_epoch,
        stateSeq: Number(row.state_seq),
        digest: row.state === null ? null : valueDigest(row.state),
        recordsTotal: Number(row.records_total),
        syncsTotal: Number(row.syncs_total),
      };

const storedReceipt = (row: ReceiptRow): StoredReceipt => ({
  epoch: row.epoch,
  batchSeq: Number(row.batch_seq),
  hash: row.hash,
  outcome: row.outcome,
  recordCount: row.record_count,
  badCount: row.bad_count,
});

const storedQuarantine = ({is_rejected, refused, parts}: QuarantineRow): Quarantined => ({
  isRejected: is_rejected,
  refused: new Set(refused),
  parts,
});

/** How many records have an epoch and number that a record of another batch has. */
const countRepeats = (rows: readonly RecordRow[]): number => {
  const batchOf = new Map<string, string>();
  let repeats = 0;
  for (const {epoch, seq, batch_seq} of rows) {
    const name = `${epoch}:${seq}`;
    const other = batchOf.get(name);
    if (other === undefined) batchOf.set(name, batch_seq);
    else if (other !== batch_seq) repeats += 1;
  }
  return repeats;
};

const keyOf = (row: {readonly epoch: number; readonly batch_seq: string}): string =>
  batchKey(row.epoch, Number(row.batch_seq));

/** @param url a connection string; its password never appears in {@link ShardReader.name}. */
export const openShard = (url: string): ShardReader => {
  const {host, pathname} = new URL(url);
  const name = `${host}${pathname}`;
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    application_name: 'pisync-judge',
    connectionTimeoutMillis: 5000,
  });
  // An idle connection that the server closes must not end the process; the next query reports it.
  pool.on('error', () => undefined);
  const query = async <R extends pg.QueryResultRow>(sql: string, ids: readonly string[]): Promise<R[]> => {
    try {
      return (await pool.query<R>(sql, [ids])).rows;
    } catch (cause) {
      throw new Error(`cannot read shard ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {cause});
    }
  };
  return {
    name,
    async read(deviceIds) {
      const devices = await query<DeviceRow>(DEVICES, deviceIds);
      const keys = devices.map(({device_key}) => device_key);
      const [receiptRows, recordRows, stateRows, epochRows, quarantineRows] = await Promise.all([
        query<ReceiptRow>(RECEIPTS, keys),
        query<RecordRow>(RECORDS, keys),
        query<StateRow>(STATES, keys),
        query<EpochRow>(EPOCHS, keys),
        query<QuarantineRow>(QUARANTINE, keys),
      ]);
      const receipts = groupBy(receiptRows, (row) => row.device_key);
      const records = groupBy(recordRows, (row) => row.device_key);
      const states = new Map(stateRows.map((row) => [row.device_key, row]));
      const replaced = groupBy(epochRows, (row) => row.device_key);
      const quarantined = groupBy(quarantineRows, (row) => row.device_key);
      return new Map(
        devices.map(({device_key, device_id}): [string, StoredDevice] => {
          const ownRecords = records.get(device_key) ?? [];
          const batches = groupBy(ownRecords, keyOf);
          return [
            device_id,
            {
              shard: name,
              receipts: (receipts.get(device_key) ?? []).map(storedReceipt),
              records: new Map([...batches].map(([key, rows]) => [key, storedRecords(rows)])),
              state: storedState(states.get(device_key), replaced.get(device_key) ?? []),
              quarantine: new Map(
                (quarantined.get(device_key) ?? []).map((row) => [keyOf(row), storedQuarantine(row)]),
              ),
              repeatedNumbers: countRepeats(ownRecords),
            },
          ];
        }),
      );
    },
    async appliedKeys(deviceIds) {
      const devices = await query<DeviceRow>(DEVICES, deviceIds);
      const rows = await query<ReceiptRow>(
        RECEIPTS,
        devices.map(({device_key}) => device_key),
      );
      const byDevice = groupBy(rows, (row) => row.device_key);
      return new Map(
        devices.map(({device_key, device_id}) => [device_id, new Set((byDevice.get(device_key) ?? []).map(keyOf))]),
      );
    },
    close: () => pool.end(),
  };
};

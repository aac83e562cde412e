import {onOwner, type Outer} from '../shards/on-owner.ts';
import {type Shards, type ShardUse} from '../shards/shards.ts';

/** What became of one batch. */
export interface Receipt {
  readonly epoch: number;
  readonly batchSeq: number;
  /** sha256 of the batch's content, 32 bytes. */
  readonly contentHash: Buffer;
  readonly outcome: 'applied' | 'rejected';
  readonly recordCount: number;
  /** How many of the records were put into quarantine. */
  readonly badCount: number;
  readonly mode: string;
  readonly reason: string | null;
  readonly receivedAt: Date;
  readonly appliedAt: Date;
}

const COLUMNS = `r.epoch, r.batch_seq as "batchSeq", r.content_hash as "contentHash", r.outcome, r.record_count as "recordCount",
  r.bad_count as "badCount", r.mode, r.reason, r.received_at as "receivedAt", r.applied_at as "appliedAt"`;

/** A device by the names that its rows have. */
export interface DeviceRef {
  readonly deviceKey: number;
  readonly slot: number;
}

const select = (
  shards: Shards,
  use: ShardUse,
  {slot}: DeviceRef,
  query: {readonly name: string; readonly text: string; readonly values: readonly (number | string)[]},
): Promise<readonly Receipt[]> =>
  onOwner(shards, slot, async (shardId) => {
    // The outer join tells "no such receipt" (one row of nulls) from "not the owner" (no row).
    const found = await shards.pool(shardId, use).query<Outer<Receipt>>({
      name: query.name,
      text: `select ${COLUMNS} from slot_owner o left join lateral (${query.text}) r on true
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, ...query.values],
    });
    if (found.rows.length === 0) return {kind: 'moved'};
    return {kind: 'done', value: found.rows.filter((row) => row.epoch !== null)};
  });

/** The receipts of one epoch whose number is greater than `after`, oldest first. */
export const listReceiptsAfter = (
  shards: Shards,
  device: DeviceRef,
  {epoch, after, limit}: {readonly epoch: number; readonly after: number; readonly limit: number},
): Promise<readonly Receipt[]> =>
  select(shards, 'ingest', device, {
    name: 'receipts-after',
    text: 'select * from receipt where device_key = $2 and epoch = $3 and batch_seq > $4 order by batch_seq limit $5',
    values: [device.deviceKey, epoch, after, limit],
  });

/** Where a page of receipts ends; the next starts before it. */
export interface ReceiptCursor {
  readonly epoch: number;
  readonly batchSeq: number;
}

/** The receipts of a device over all its epochs, newest first. */
export const listReceipts = (
  shards: Shards,
  device: DeviceRef,
  {before, limit}: {readonly before?: ReceiptCursor | undefined; readonly limit: number},
): Promise<readonly Receipt[]> =>
  select(shards, 'dashboard', device, {
    name: 'receipts-page',
    text: `select * from receipt where device_key = $2 and (epoch, batch_seq) < ($3, $4)
           order by epoch desc, batch_seq desc limit $5`,
    // Without a cursor the page starts at the end: before an epoch that no device reaches.
    values: [device.deviceKey, before?.epoch ?? 2_147_483_647, before?.batchSeq ?? 0, limit],
  });

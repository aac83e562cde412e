import {onOwner, type Outer} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';

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

/** Of a receipt `r`. */
export const RECEIPT_COLUMNS = `r.epoch, r.batch_seq as "batchSeq", r.content_hash as "contentHash", r.outcome, r.record_count as "recordCount",
  r.bad_count as "badCount", r.mode, r.reason, r.received_at as "receivedAt", r.applied_at as "appliedAt"`;

/** A device by the names that its rows have. */
export interface DeviceRef {
  readonly deviceKey: number;
  readonly slot: number;
}

/** The receipts of one epoch whose number is greater than `after`, oldest first. */
export const listReceiptsAfter = (
  shards: Shards,
  {deviceKey, slot}: DeviceRef,
  {epoch, after, limit}: {readonly epoch: number; readonly after: number; readonly limit: number},
): Promise<readonly Receipt[]> =>
  onOwner(shards, slot, async (shardId) => {
    // The outer join tells "no such receipt" (one row of nulls) from "not the owner" (no row).
    const found = await shards.pool(shardId, 'ingest').query<Outer<Receipt>>({
      name: 'receipts-after',
      text: `select ${RECEIPT_COLUMNS} from slot_owner o left join lateral (
               select * from receipt where device_key = $2 and epoch = $3 and batch_seq > $4 order by batch_seq limit $5) r on true
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, deviceKey, epoch, after, limit],
    });
    if (found.rows.length === 0) return {kind: 'moved'};
    return {kind: 'done', value: found.rows.filter((row) => row.epoch !== null)};
  });

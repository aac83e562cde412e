import {type DeviceRef} from '../receipts/receipts.ts';
import {onOwner, type Outer} from '../shards/on-owner.ts';
import {PAGE_BYTES, pageColumns} from '../shards/page-bytes.ts';
import {type Shards} from '../shards/shards.ts';

/** One entry of a device's sync log. */
export interface StoredRecord {
  readonly epoch: number;
  readonly seq: number;
  readonly batchSeq: number;
  /** Its place in the batch, from 0. */
  readonly ordinal: number;
  readonly kind: string;
  /** What the device's clock said; nothing is ordered by it. */
  readonly deviceTime: Date | null;
  /** JSON as the device sent it. */
  readonly data: unknown;
  readonly receivedAt: Date;
}

/** Where a page of records ends; the next starts before it. */
export interface RecordCursor {
  readonly epoch: number;
  readonly batchSeq: number;
  readonly ordinal: number;
}

export interface RecordPage {
  readonly rows: readonly StoredRecord[];
  readonly hasNextPage: boolean;
}

/** A device's records by batch and place in it, newest first: `limit` of them, or as many as {@link PAGE_BYTES} of data hold. */
export const listRecords = (
  shards: Shards,
  device: DeviceRef,
  {before, limit}: {readonly before?: RecordCursor | undefined; readonly limit: number},
): Promise<RecordPage> =>
  onOwner(shards, device.slot, async (shardId) => {
    const found = await shards.pool(shardId, 'dashboard').query<Outer<StoredRecord & {readonly found: number}>>({
      name: 'records-page',
      text: `select r.epoch, r.seq, r.batch_seq as "batchSeq", r.ordinal, r.kind, r.device_time as "deviceTime", r.data,
                    r.received_at as "receivedAt", r.found
             from slot_owner o left join lateral (
               select *, ${pageColumns('octet_length(data::text)')} from (
                 select * from record where device_key = $2 and (epoch, batch_seq) <= ($3, $4)
                   and (epoch, batch_seq, ordinal) < ($3, $4, $5)
                 order by epoch desc, batch_seq desc, ordinal desc limit $6::int + 1) n
               window page as (order by epoch desc, batch_seq desc, ordinal desc rows unbounded preceding)) r
             on r.place = 1 or r.place <= $6 and r.bytes <= ${PAGE_BYTES}
             where o.slot = $1 and o.state = 'owned' order by r.epoch desc, r.batch_seq desc, r.ordinal desc`,
      // Without a cursor the page starts at the end: before an epoch that no device reaches.
      values: [
        device.slot,
        device.deviceKey,
        before?.epoch ?? 2_147_483_647,
        before?.batchSeq ?? 0,
        before?.ordinal ?? 0,
        limit,
      ],
    });
    if (found.rows.length === 0) return {kind: 'moved'};
    const rows = found.rows.filter((row) => row.epoch !== null);
    return {kind: 'done', value: {rows, hasNextPage: (rows[0]?.found ?? 0) > rows.length}};
  });

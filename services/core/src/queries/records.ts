import type {JsonText} from '../json/json-text.ts';
import {cutRows, PAGE_BYTES} from '../shards/page-bytes.ts';
import {type Shards} from '../shards/shards.ts';
import {listPages, type PageOf} from './device-pages.ts';
import {NEWEST} from './receipts.ts';

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
  /** What it said cannot be a time, so there is none. */
  readonly badTime: boolean;
  /** JSON as the device sent it. */
  readonly data: JsonText | null;
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

/** Records of devices by batch and place in it, newest first: `limit` of each, or as many as the devices' part of {@link PAGE_BYTES} of data holds. */
export const listRecords = async (
  shards: Shards,
  pages: readonly PageOf<RecordCursor>[],
  limit: number,
): Promise<readonly RecordPage[]> => {
  const found = await listPages<StoredRecord & {readonly found: number}, RecordCursor>(shards, pages, limit, {
    name: 'records-pages',
    maxBytes: Math.floor(PAGE_BYTES / Math.max(1, pages.length)),
    columns: `r.epoch, r.seq, r.batch_seq as "batchSeq", r.ordinal, r.kind, r.device_time as "deviceTime", r.bad_time as "badTime", r.data,
              r.received_at as "receivedAt", r.found`,
    cursor: [
      {name: 'epoch', type: 'int', of: ({epoch}) => epoch, end: NEWEST},
      {name: 'batch_seq', type: 'bigint', of: ({batchSeq}) => batchSeq, end: 0},
      {name: 'ordinal', type: 'int', of: ({ordinal}) => ordinal, end: 0},
    ],
    rows: (most, bytes) =>
      cutRows({
        rows: `select * from record r where r.device_key = n.device_key
                 and (r.epoch, r.batch_seq) <= (n.epoch, n.batch_seq)
                 and (r.epoch, r.batch_seq, r.ordinal) < (n.epoch, n.batch_seq, n.ordinal)
               order by r.epoch desc, r.batch_seq desc, r.ordinal desc limit ${most} + 1`,
        wide: ['data'],
        order: 'epoch desc, batch_seq desc, ordinal desc',
        limit: most,
        bytes,
      }),
    order: 'r.epoch desc, r.batch_seq desc, r.ordinal desc',
  });
  return found.map((rows) => ({rows, hasNextPage: (rows[0]?.found ?? 0) > rows.length}));
};

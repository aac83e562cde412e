import {type Receipt, RECEIPT_COLUMNS} from '../receipts/receipts.ts';
import {type Shards} from '../shards/shards.ts';
import {listPages, type PageOf} from './device-pages.ts';

/** Where a page of receipts ends; the next starts before it. */
export interface ReceiptCursor {
  readonly epoch: number;
  readonly batchSeq: number;
}

/** Before an epoch that no device reaches. */
export const NEWEST = 2_147_483_647;

/** The receipts of devices over all their epochs, newest first. */
export const listReceipts = (
  shards: Shards,
  pages: readonly PageOf<ReceiptCursor>[],
  limit: number,
): Promise<readonly (readonly Receipt[])[]> =>
  listPages<Receipt, ReceiptCursor>(shards, pages, limit, {
    name: 'receipts-pages',
    columns: RECEIPT_COLUMNS,
    cursor: [
      {name: 'epoch', type: 'int', of: ({epoch}) => epoch, end: NEWEST},
      {name: 'batch_seq', type: 'bigint', of: ({batchSeq}) => batchSeq, end: 0},
    ],
    rows: (
      most,
    ) => `select * from receipt r where r.device_key = n.device_key and (r.epoch, r.batch_seq) < (n.epoch, n.batch_seq)
                     order by r.epoch desc, r.batch_seq desc limit ${most}`,
    order: 'r.epoch desc, r.batch_seq desc',
  });

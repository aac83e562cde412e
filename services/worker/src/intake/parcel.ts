import {createHash} from 'node:crypto';
import {type BundleItem, decodeBundle} from '@pisync/core/broker/bundle';
import {type Delivery} from '@pisync/core/broker/consumer';
import {type Batch, recordCount} from '../apply/batch.ts';
import {parseContent} from '../apply/parse.ts';

/** A batch and the item of the bundle that it came in. */
export interface Piece {
  readonly batch: Batch;
  readonly item: BundleItem;
}

/** A delivery that could be read. It is acked as a whole, when every piece of it is settled. */
export interface Parcel {
  readonly delivery: Delivery;
  readonly pieces: readonly Piece[];
  readonly records: number;
  /** When the oldest of its batches was accepted. */
  readonly oldestAtMs: number;
}

/** @throws AppError `invalid` when the message is no bundle. */
export const openParcel = (delivery: Delivery): Parcel => {
  const pieces = decodeBundle(delivery.content).map((item) => ({item, batch: batchOf(item)}));
  return {
    delivery,
    pieces,
    // Receipts and states cost too, so a batch weighs at least one.
    records: pieces.reduce((sum, {batch}) => sum + Math.max(1, recordCount(batch)), 0),
    oldestAtMs: pieces.reduce((oldest, {batch}) => Math.min(oldest, batch.receivedAtMs), Infinity),
  };
};

const batchOf = ({meta, payload}: BundleItem): Batch => ({
  deviceId: meta.deviceId,
  deviceKey: meta.deviceKey,
  slot: meta.slot,
  epoch: meta.epoch,
  batchSeq: meta.batchSeq,
  contentHash: Buffer.from(meta.contentHash, 'hex'),
  receivedAtMs: meta.receivedAt,
  receivedDay: meta.receivedDay,
  mode: meta.mode,
  reason: meta.reason ?? undefined,
  payload,
  content: parseContent(payload, meta.bad),
});

/** Names a message that nobody can read, so that its second delivery is recognised. */
export const fingerprint = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

import {type BundleItem, decodeBundle, type WrongItem} from '@pisync/core/broker/bundle';
import {type Delivery} from '@pisync/core/broker/consumer';
import {type Batch, type UnreadBatch} from '../apply/batch.ts';
import {parseContent} from '../apply/parse.ts';

/** How a delivery came to this process. */
export interface Arrival {
  /** Before what is not. */
  readonly isUrgent: boolean;
  /** From the queue of a shard that was away: it holds nothing else up and may be kept until the shard answers. */
  readonly isParked: boolean;
  /** Nothing else is worked on meanwhile. */
  readonly isAlone?: boolean;
}

/** A batch on its way to its shard, and the item of the bundle that it came in. */
export interface Piece extends Arrival {
  readonly batch: UnreadBatch;
  readonly item: BundleItem;
  readonly delivery: Pick<Delivery, 'routingKey' | 'attempt' | 'isLost'>;
  /** When it came to this process, by a clock that nobody sets. */
  readonly takenAtMs: number;
  /** How often it was sent on its way again, because its slot was owned elsewhere or its device's row was held. */
  readonly returns: number;
  /** Why its attempts ended: this is its rejection, which is stored or, as bytes, kept. */
  readonly exhausted: string | undefined;
  /** `settled`: committed, in quarantine, or confirmed elsewhere on the broker. `given-back`: the broker delivers it again. */
  close(how: 'settled' | 'given-back'): void;
  /** The broker may have confirmed late what was published of it. */
  isClosed(): boolean;
}

/** An item that could not be read, on its way to a person. */
export interface WrongPiece extends WrongItem {
  close: Piece['close'];
}

/** A delivery that could be read. It is acked as a whole when every piece is settled, and given back when one was. */
export interface Parcel {
  readonly pieces: readonly Piece[];
  readonly wrong: readonly WrongPiece[];
  /** When the oldest of its batches was accepted. */
  readonly oldestAtMs: number;
}

/** @param onClosed called once, after the delivery was acked or given back. @throws what {@link decodeBundle} throws */
export const openParcel = (
  delivery: Delivery,
  arrival: Arrival & Pick<Piece, 'takenAtMs'>,
  onClosed: (parcel: Parcel) => void,
): Parcel => {
  const {items, wrong} = decodeBundle(delivery.content);
  let open = items.length + wrong.length;
  let isGivenBack = false;
  const close = (how: 'settled' | 'given-back'): void => {
    open -= 1;
    isGivenBack ||= how === 'given-back';
    if (open > 0) return;
    if (isGivenBack) delivery.requeue();
    else delivery.ack();
    onClosed(parcel);
  };
  const closing = (): Pick<Piece, 'close' | 'isClosed'> => {
    let isClosed = false;
    return {
      close(how) {
        if (isClosed) return;
        isClosed = true;
        close(how);
      },
      isClosed: () => isClosed,
    };
  };
  const {routingKey, attempt, isLost} = delivery;
  const pieces = items.map((item): Piece => ({
    ...arrival,
    item,
    batch: batchOf(item),
    delivery: {routingKey, attempt, isLost},
    returns: 0,
    exhausted: undefined,
    ...closing(),
  }));
  const parcel: Parcel = {
    pieces,
    wrong: wrong.map((item) => ({...item, close: closing().close})),
    oldestAtMs: pieces.reduce((oldest, {batch}) => Math.min(oldest, batch.receivedAtMs), Infinity),
  };
  return parcel;
};

/** How many records its sender counted. */
export const recordsOf = ({item}: Piece): number => item.meta.records ?? 0;

const KIB = 1024;
/** No other piece fits beside it. */
export const WHOLE_WINDOW = 1000;

/**
 * What a piece counts in a window: as many records as it has, or as its size is worth at a KiB each. Receipts and states cost too, so it weighs at
 * least one.
 */
export const weightOf = (piece: Piece): number =>
  piece.isAlone === true ? WHOLE_WINDOW : Math.max(1, recordsOf(piece), Math.ceil(piece.batch.payload.length / KIB));

/** Reads the body. What is read is for one attempt, and not to be kept in hand. */
export const readBatch = ({batch, item, exhausted}: Piece): Batch => ({
  ...batch,
  content: exhausted === undefined ? parseContent(batch.payload, item.meta) : {kind: 'rejected', reason: exhausted},
});

const batchOf = ({meta, payload}: BundleItem): UnreadBatch => ({
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
});

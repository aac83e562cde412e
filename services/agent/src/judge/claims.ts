/** What a ledger claims of each device: batches, the contents they were sent with, and whether the region promised them. */
import type {LedgerEntry, SentEntry} from '../ledger/entry.ts';

export interface BatchClaim {
  readonly epoch: number;
  readonly batchSeq: number;
  /** By content hash. More than one when a batch was split after a 413, or emptied after a 400. */
  readonly contents: ReadonlyMap<string, SentEntry>;
  /** Contents that got a 2xx, or that the region said are applied, by hash: more than one only when a number was used for two. */
  readonly acked: ReadonlyMap<string, Ack>;
}

export interface Ack {
  /** Records that the device was told are bad; null where it was not told. */
  readonly bad: number | null;
  /** recordsDigest of the others; null when none is bad, or it was not told. */
  readonly good: string | null;
}

/** Batches by {@link batchKey}. */
export type DeviceClaims = ReadonlyMap<string, BatchClaim>;

export const batchKey = (epoch: number, batchSeq: number): string => `${epoch}:${batchSeq}`;

/** `e12` on the wire is ordinal 12 in the database. */
const epochOrdinal = (epoch: string): number => {
  const ordinal = /^e(\d+)$/.exec(epoch)?.[1];
  if (ordinal === undefined)
    throw new Error(`the ledger names the epoch "${epoch}", which is not of the form e<number>`);
  return Number(ordinal);
};

/** Collects entries into claims by device id. */
export class Claims {
  readonly #devices = new Map<string, Map<string, BatchClaim>>();

  get devices(): ReadonlyMap<string, DeviceClaims> {
    return this.#devices;
  }

  add(entry: LedgerEntry): void {
    const epoch = epochOrdinal(entry.epoch);
    const key = batchKey(epoch, entry.batch);
    const batches = this.#devices.get(entry.device) ?? new Map<string, BatchClaim>();
    this.#devices.set(entry.device, batches);
    const known = batches.get(key) ?? {epoch, batchSeq: entry.batch, contents: new Map(), acked: new Map()};
    if (entry.t === 'sent') {
      batches.set(key, {...known, contents: new Map([...known.contents, [entry.hash, entry]])});
    } else if (entry.answer === 'acked' || entry.answer === 'applied') {
      const {bad, good} = entry;
      batches.set(key, {...known, acked: new Map([...known.acked, [entry.hash, {bad, good}]])});
    } else {
      batches.set(key, known);
    }
  }
}

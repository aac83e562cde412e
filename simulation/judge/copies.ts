/** Counts what a worker makes of what it has in hand: for each time that a batch was handed to it, and for each channel that was lost meanwhile, one copy at most. */
import {decodeBundle} from '@pisync/core/broker/bundle';

export interface Copies {
  handed(content: Buffer): void;
  /** The broker keeps what was published. */
  kept(content: Buffer): void;
  /** The channel was lost before its outcome was known. */
  lost(content: Buffer): void;
  /** Batches of which there is a copy too many. */
  readonly tooMany: () => readonly string[];
}

export const createCopies = (): Copies => {
  /** How many more may be published, by batch. */
  const allowed = new Map<string, number>();
  const tooMany = new Set<string>();
  const count = (content: Buffer, by: number): void => {
    for (const {meta} of decodeBundle(content).items) {
      const name = `${meta.deviceId} e${meta.epoch}/${meta.batchSeq} ${meta.contentHash.slice(0, 6)}`;
      const left = (allowed.get(name) ?? 0) + by;
      allowed.set(name, left);
      if (left < 0) tooMany.add(name);
    }
  };
  return {
    handed: (content) => count(content, 1),
    kept: (content) => count(content, -1),
    lost: (content) => count(content, 1),
    tooMany: () => [...tooMany],
  };
};

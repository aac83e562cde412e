import {AppError} from '../errors/app-error.ts';
import {onceMore} from '../shards/once-more.ts';
import {type Shards} from '../shards/shards.ts';
import {deviceKeyOf} from '../shards/slot.ts';

/** Numbers per value of control.device_key_block. Fixed for ever: another size would hand out numbers twice. */
const BLOCK = 1000;

/** Hands out device keys, whose numbers are unique in the region. */
export interface DeviceKeys {
  /** @throws what the control database threw when a new block was needed. */
  next(slot: number): Promise<number>;
  /** Leaves the rest of the block: one of its numbers was handed out before. */
  skipBlock(): void;
}

/** One round trip per thousand numbers. What a process has left when it ends is never used, which costs nothing. */
export const createDeviceKeys = (shards: Shards): DeviceKeys => {
  let next = 0;
  let end = 0;
  let refilling: Promise<void> | undefined;

  const refill = async (): Promise<void> => {
    // A block that was taken and not heard of is never used.
    const found = await onceMore(() =>
      shards.control('ingest').query<{block: number}>(`select nextval('control.device_key_block') as block`),
    );
    const block = found.rows[0]?.block;
    if (block === undefined) throw new AppError('internal', 'the sequence control.device_key_block gave no value');
    next = block * BLOCK;
    end = next + BLOCK;
  };

  return {
    async next(slot) {
      // A loop, because those that waited for the same refill may use it up.
      while (next >= end) {
        refilling ??= refill().finally(() => {
          refilling = undefined;
        });
        await refilling;
      }
      return deviceKeyOf(slot, next++);
    },
    skipBlock() {
      next = end;
    },
  };
};

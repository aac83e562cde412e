import {SLOTS} from '@pisync/contract/slots';
import xxhash from 'xxhash-wasm';

/** The slot of a device, 0..1023. Never changes for a device. */
export type SlotOf = (deviceId: string) => number;

/**
 * `xxh32(deviceId in lower case, seed 0) & 1023`. The hash is WebAssembly that has to be compiled once, hence the promise.
 * Algorithm: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
export const loadSlotHash = async (): Promise<SlotOf> => {
  const hash = await xxhash();
  // The hash is unsigned, so the mask keeps the ten low bits.
  return (deviceId) => hash.h32(deviceId.toLowerCase(), 0) & (SLOTS - 1);
};

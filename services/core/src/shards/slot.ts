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

/** Below it are the numbers of a slot's devices; a key stays exact in a double (below 2^42). */
const KEYS_OF_SLOT = 2 ** 32;

/**
 * The key of the device that has this number in the region. A slot is a range of keys, so rows need no other column for it.
 * @throws RangeError for a number that is none
 */
export const deviceKeyOf = (slot: number, number: number): number => {
  if (number >= KEYS_OF_SLOT) throw new RangeError(`${number} is no number of a device: it reaches into the next slot`);
  return slot * KEYS_OF_SLOT + number;
};

/** SQL for the slot of a device key. */
export const slotOfKey = (key: string): string => `(${key} >> 32)`;

import {beforeAll, expect, test} from '@jest/globals';
import xxhash from 'xxhash-wasm';
import {loadSlotHash, type SlotOf} from './slot.ts';

let slotOf: SlotOf;
beforeAll(async () => {
  slotOf = await loadSlotHash();
});

test('the hash is XXH32 (vectors of the reference implementation)', async () => {
  const hash = await xxhash();
  expect(hash.h32('', 0)).toBe(0x02cc5d05);
  expect(hash.h32('a', 0)).toBe(0x550d7456);
  expect(hash.h32('abc', 0)).toBe(0x32d153ff);
  expect(hash.h32('Nobody inspects the spammish repetition', 0)).toBe(0xe2293b2f);
});

test('a slot is the ten low bits of the hash', () => {
  expect(slotOf('abc')).toBe(0x3ff & 0x32d153ff);
});

test('the case of a device id does not matter', () => {
  const id = '9f8b5c2e-4a77-5a0e-8f3c-1d2e3f4a5b6c';
  expect(slotOf(id.toUpperCase())).toBe(slotOf(id));
});

test('slots are spread evenly', () => {
  const counts = new Array<number>(1024).fill(0);
  for (let index = 0; index < 102_400; index++) {
    const slot = slotOf(`00000000-0000-5000-8000-${index.toString(16).padStart(12, '0')}`);
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  // 100 expected in each with a standard deviation of 10: six of them either way.
  expect(Math.min(...counts)).toBeGreaterThan(40);
  expect(Math.max(...counts)).toBeLessThan(160);
});

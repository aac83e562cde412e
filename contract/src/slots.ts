/** Number of slots in a region: fixed for ever, because a device's slot is `xxh32(deviceId, seed 0) & (SLOTS - 1)`. */
export const SLOTS = 1024;

/**
 * The shard that owns a slot in a region that was just created with `shards` shards: contiguous ranges, even to within one slot.
 */
export const initialShardOf = (slot: number, shards: number): number => Math.floor((slot * shards) / SLOTS);

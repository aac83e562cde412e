import type {Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {createLru} from '@pisync/core/cache/lru';
import {AppError} from '@pisync/core/errors/app-error';

/** What a device may have stored, however many batches it takes. It refills all the time, and is one for all pods. */
export interface ByteQuota {
  /**
   * For what a batch will take in its shard, before it is durable: whoever is refused costs no storage.
   * @throws AppError `rate-limited` with the seconds until there is room.
   */
  charge(deviceId: string, bytes: number): Promise<void>;
}

export interface ByteQuotaOptions {
  readonly cache: Pick<Cache, 'use'>;
  /** May come at once. */
  readonly burstBytes: number;
  /** May come day by day after that. */
  readonly bytesADay: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const DAY_MS = 86_400_000;
const MAX_DEVICES = 100_000;
/** Of the burst, which a pod grants without asking the others. Nearly every device stays below it, and costs Redis nothing. */
const GRANTED = 1 / 64;

/**
 * How long a key lives is what the device has used, as the time in which that refills: no clock is compared. Returns the milliseconds that are too much, 0 when it fits.
 */
const CHARGE = `
local used = math.max(redis.call('pttl', KEYS[1]), 0) + ARGV[1]
if used > tonumber(ARGV[2]) then return used - ARGV[2] end
redis.call('set', KEYS[1], '', 'px', used)
return 0`;

/** A row of a receipt with its index entries, and one of a record besides what it says. */
const BATCH_BYTES = 512;
const RECORD_BYTES = 256;
/** What jsonb has of a value besides its text: an entry of four bytes, and eight more of a number, whose text may be one. Short values are not compressed. */
const VALUE_BYTES = 10;

interface StoredCounts {
  readonly recordCount: number;
  readonly valueCount: number;
}

/** About what a batch takes in its shard. */
export const bytesOf = (payloadBytes: number, {recordCount, valueCount}: StoredCounts): number =>
  payloadBytes + BATCH_BYTES + recordCount * RECORD_BYTES + valueCount * VALUE_BYTES;

export const createByteQuota = ({cache, burstBytes, bytesADay, now}: ByteQuotaOptions): ByteQuota => {
  const msOf = (bytes: number): number => (bytes / bytesADay) * DAY_MS;
  const burstMs = msOf(burstBytes);
  /** When what was used in this pod will have been refilled. */
  const refilledAt = createLru<number>(MAX_DEVICES, now);

  const shared = async (deviceId: string, costMs: number): Promise<number> => {
    const over = await cache.use((redis) =>
      redis.eval(CHARGE, 1, cacheKey.quota(deviceId), Math.ceil(costMs), Math.ceil(burstMs)),
    );
    // Without Redis this pod's own count has to do.
    return typeof over === 'number' ? over : 0;
  };

  return {
    async charge(deviceId, bytes) {
      const costMs = msOf(bytes);
      const usedMs = Math.max(0, (refilledAt.get(deviceId) ?? 0) - now()) + costMs;
      const overMs =
        usedMs > burstMs ? usedMs - burstMs : usedMs > burstMs * GRANTED ? await shared(deviceId, costMs) : 0;
      if (overMs > 0) {
        const mib = (count: number): string => `${Math.round(count / 1024 / 1024)} MiB`;
        throw new AppError(
          'rate-limited',
          `a device may have ${mib(bytesADay)} a day stored, ${mib(burstBytes)} of it at once`,
          {retryAfterSeconds: Math.ceil(overMs / 1000)},
        );
      }
      // What others charged meanwhile counts too.
      const at = Math.max(refilledAt.get(deviceId) ?? 0, now()) + costMs;
      refilledAt.set(deviceId, at, at - now());
    },
  };
};

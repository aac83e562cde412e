import {createLru} from '@pisync/core/cache/lru';
import {AppError} from '@pisync/core/errors/app-error';

/** A token bucket per device. Never per address: a whole site shares one behind its NAT. */
export interface DeviceQuota {
  /** For a call. @throws AppError `rate-limited` with the seconds until the next token. */
  take(deviceId: string): void;
  /**
   * For the work that a call's inflated body makes, before it is done: a token for every {@link BYTES_A_TOKEN}. It may be owed, so a large body passes after a
   * pause, and many at once do not. @throws AppError `rate-limited` while the device owes.
   */
  spend(deviceId: string, bytes: number): void;
}

/** A megabyte can take a third of a second to read, and a full batch of common records, some 200 KB, has less than this. */
export const BYTES_A_TOKEN = 256 * 1024;

export interface DeviceQuotaOptions {
  readonly burst: number;
  readonly perSecond: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const MAX_DEVICES = 100_000;

export const createDeviceQuota = ({burst, perSecond, now}: DeviceQuotaOptions): DeviceQuota => {
  const buckets = createLru<{tokens: number; at: number}>(MAX_DEVICES, now);
  const charge = (deviceId: string, least: number, cost: number): void => {
    const at = now();
    const bucket = buckets.get(deviceId) ?? {tokens: burst, at};
    const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * perSecond);
    if (tokens < least) {
      const limits = `${perSecond} times a second, ${burst} at once; ${BYTES_A_TOKEN / 1024} KiB count as one call more`;
      throw new AppError('rate-limited', `a device may call ${limits}`, {
        retryAfterSeconds: (1 - tokens) / perSecond,
      });
    }
    const left = tokens - cost;
    // After this time without a call the bucket is full, which is what a forgotten one is taken for.
    buckets.set(deviceId, {tokens: left, at}, ((burst - left) / perSecond) * 1000);
  };
  return {
    take: (deviceId) => charge(deviceId, 1, 1),
    spend: (deviceId, bytes) => charge(deviceId, 0, Math.floor(bytes / BYTES_A_TOKEN)),
  };
};

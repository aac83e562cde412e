import {createLru} from '@pisync/core/cache/lru';
import {AppError} from '@pisync/core/errors/app-error';

/** A token bucket per device. Never per address: a whole site shares one behind its NAT. */
export interface DeviceQuota {
  /** @throws AppError `rate-limited` with the seconds until the next token. */
  take(deviceId: string): void;
}

export interface DeviceQuotaOptions {
  readonly burst: number;
  readonly perSecond: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const MAX_DEVICES = 100_000;

export const createDeviceQuota = ({burst, perSecond, now}: DeviceQuotaOptions): DeviceQuota => {
  const buckets = createLru<{tokens: number; at: number}>(MAX_DEVICES, now);
  const fullAgainMs = (burst / perSecond) * 1000;
  return {
    take(deviceId) {
      const at = now();
      const bucket = buckets.get(deviceId) ?? {tokens: burst, at};
      const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * perSecond);
      if (tokens < 1) {
        throw new AppError('rate-limited', `a device may call ${perSecond} times a second, ${burst} at once`, {
          retryAfterSeconds: (1 - tokens) / perSecond,
        });
      }
      // After this time without a call the bucket is full, which is what a forgotten one is taken for.
      buckets.set(deviceId, {tokens: tokens - 1, at}, fullAgainMs);
    },
  };
};

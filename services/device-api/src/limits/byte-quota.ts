import type {Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {createLru} from '@pisync/core/cache/lru';
import {AppError} from '@pisync/core/errors/app-error';
import type {SyncBody} from '../sync/sync-body.ts';
import {createSharedQuota, type GiveBack} from './shared-quota.ts';

/** What a device may have stored, however many batches it takes. It refills all the time, and is one for all pods. */
export interface ByteQuota {
  /**
   * For a body of so many bytes, before it is read, or before it is parsed; undefined where it does not say. A device that was told here when to come back must not
   * make this pod work for another one before. Small ones pass: a heartbeat takes nothing of the quota.
   * @throws AppError `rate-limited`
   */
  check(deviceId: string, bodyBytes: number | undefined): void;
  /**
   * For what a batch will take in its shard, before it is durable: whoever is refused costs no storage. What the broker certainly did not take is given back.
   * @throws AppError `rate-limited` with the seconds until there is room.
   */
  charge(deviceId: string, bytes: number): Promise<GiveBack>;
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

const MAX_DEVICES = 100_000;
/** What a device says without readings of its own. */
const SMALL_BYTES = 4 * 1024;

/** A row of a receipt with its index entries, and one of a record besides what it says. */
const BATCH_BYTES = 512;
const RECORD_BYTES = 256;
/** What jsonb has of a value besides its text: an entry of four bytes, and eight more of a number, whose text may be one. Short values are not compressed. */
const VALUE_BYTES = 10;

/** In quarantine numbers are written out, up to 21 digits: `9e20` and a comma are 5 bytes in a body and 22 there. */
const BAD_VALUE_BYTES = 17;

/** What a batch takes in its shard at most, but for a little. */
export const bytesOf = (
  payloadBytes: number,
  {recordCount, valueCount, bad, isStateBad}: Pick<SyncBody, 'recordCount' | 'valueCount' | 'bad' | 'isStateBad'>,
): number =>
  payloadBytes +
  BATCH_BYTES +
  recordCount * RECORD_BYTES +
  valueCount * (isStateBad || bad.length > 0 ? BAD_VALUE_BYTES : VALUE_BYTES);

export const createByteQuota = ({cache, burstBytes, bytesADay, now}: ByteQuotaOptions): ByteQuota => {
  const quota = createSharedQuota({
    cache,
    redisKey: cacheKey.quota,
    limits: () => ({burst: burstBytes, aDay: bytesADay}),
    maxKeys: MAX_DEVICES,
    now,
  });
  /** Until when each device is to wait. */
  const toWait = createLru<number>(MAX_DEVICES, now);
  const mib = (count: number): string => `${Math.round(count / 1024 / 1024)} MiB`;
  const tooMuch = (overMs: number): AppError =>
    new AppError('rate-limited', `a device may have ${mib(bytesADay)} a day stored, ${mib(burstBytes)} of it at once`, {
      retryAfterSeconds: Math.ceil(overMs / 1000),
    });
  return {
    check(deviceId, bodyBytes) {
      const until = toWait.get(deviceId);
      if (until !== undefined && (bodyBytes ?? Infinity) > SMALL_BYTES) throw tooMuch(until - now());
    },
    async charge(deviceId, bytes) {
      const use = await quota.use(deviceId, bytes);
      if (use.kind === 'used') return use.giveBack;
      toWait.set(deviceId, now() + use.overMs, use.overMs);
      throw tooMuch(use.overMs);
    },
  };
};

import {announceCredential, invalidateCredential} from '@pisync/core/cache/credential-entries';
import type {Timers} from '@pisync/core/lifecycle/timers';
import type {CacheAccess} from '../caching/read-through.ts';

/** Tells all processes that what they remember of a device counts no more: who it is, and whether it is let in. */
export interface CredentialNews {
  /** Never rejects. Where Redis cannot be told, it is told as soon as it can. */
  tell(deviceId: string): Promise<void>;
}

export interface CredentialNewsOptions {
  readonly cache: CacheAccess;
  readonly timers: Pick<Timers, 'now' | 'after'>;
}

const AGAIN_MS = 1_000;
/** After that nothing in Redis is believed that was there before. */
const WORTH_TELLING_MS = 900_000;
/** More than people change in that time. The oldest go first. */
const MAX_UNTOLD = 10_000;

export const createCredentialNews = ({cache, timers}: CredentialNewsOptions): CredentialNews => {
  /** With when that was, the oldest first. */
  const untold = new Map<string, number>();
  let isWaiting = false;

  const isTold = async (deviceId: string): Promise<boolean> =>
    // In this order over one connection: whoever hears of it finds the old credential in Redis no more.
    (await cache.use((redis) =>
      Promise.all([invalidateCredential(redis, deviceId), announceCredential(redis, deviceId)]),
    )) !== undefined;

  const tellUntold = async (): Promise<void> => {
    for (const [deviceId, sinceMs] of untold) {
      if (timers.now() - sinceMs < WORTH_TELLING_MS && !(await isTold(deviceId))) return;
      // It may have been changed again meanwhile.
      if (untold.get(deviceId) === sinceMs) untold.delete(deviceId);
    }
  };

  const tellLater = (): void => {
    if (isWaiting || untold.size === 0) return;
    isWaiting = true;
    timers.after(AGAIN_MS, () => {
      void tellUntold().finally(() => {
        isWaiting = false;
        tellLater();
      });
    });
  };

  return {
    async tell(deviceId) {
      if (await isTold(deviceId)) return;
      untold.delete(deviceId);
      untold.set(deviceId, timers.now());
      const [oldest] = untold.keys();
      if (untold.size > MAX_UNTOLD && oldest !== undefined) untold.delete(oldest);
      tellLater();
    },
  };
};

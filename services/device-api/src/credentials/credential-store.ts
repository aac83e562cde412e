import {CACHE_TTL_SECONDS} from '@pisync/core/cache/cache-keys';
import {LONGEST_READ_S} from '@pisync/core/cache/credential-entries';
import {createLru} from '@pisync/core/cache/lru';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import type {Credential} from '@pisync/core/devices/credentials';
import {AppError} from '@pisync/core/errors/app-error';
import type {CredentialCache} from './credential-cache.ts';

/** Where credentials are looked up: this process, else Redis, else the device's shard. */
export interface CredentialStore {
  /**
   * Undefined when no such device is enrolled; that is remembered too, so that guessing costs a shard nothing. While the device's
   * shard is away it is what the shard last said, at most two days ago, and so it is for a minute while a shard that answers others has no connection free.
   * @throws AppError `shard-unavailable` when the shard is away and nobody remembers the device, `overloaded` when too many wait for one answer.
   */
  find(deviceId: string): Promise<Credential | undefined>;
  /** From the shard, past every cache; at most once a second and device, otherwise what is cached. */
  findFresh(deviceId: string): Promise<Credential | undefined>;
  /** Tells every process what an enrolment has just committed: a new device, or a newer epoch of one. */
  introduce(credential: Credential): Promise<void>;
  /**
   * Forgets a credential here, in Redis and in every other process, once the shard has changed it; a read that began before and
   * ends after keeps nothing. An old credential works on for as long as a read under way, for five seconds in a process that does not
   * hear of it, and for up to twelve minutes when Redis cannot be told at all, or longer if the shard is away by then: until it is back.
   */
  invalidate(deviceId: string): Promise<void>;
}

export interface CredentialStoreOptions {
  readonly cache: CredentialCache;
  /** Asks the shard. @throws AppError `shard-unavailable` */
  readonly load: (deviceId: string) => Promise<Credential | undefined>;
  /** The same for who can do without an answer, so it gives up soon. @throws AppError `shard-unavailable`, or `overloaded` by a shard that answers others */
  readonly loadQuickly: (deviceId: string) => Promise<Credential | undefined>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const MAX_ENTRIES = 100_000;
const MAX_UNKNOWN = 10_000;
/** Revocation is announced; this bounds what a missed announcement costs. A device that calls more often costs a look into Redis so often. */
const KNOWN_TTL_MS = 5_000;
const UNKNOWN_TTL_MS = 5_000;
const FRESH_EVERY_MS = 1_000;
/** So long a device is believed that its shard, which answers others, was not asked for. Then it waits for the answer. */
const BELIEVED_UNASKED_MS = 60_000;
/** Who may wait for an answer that another call has asked for. */
const MAX_JOINED = 200;
interface Entry {
  readonly credential: Credential | undefined;
}

type Read = (deviceId: string) => Promise<Credential | undefined>;

export const createCredentialStore = (options: CredentialStoreOptions): CredentialStore => {
  const {cache, load, loadQuickly, now} = options;
  const known = createLru<Entry>(MAX_ENTRIES, now);
  /** Of their own, so that whoever guesses ids drives no device out. */
  const unknown = createLru<Entry>(MAX_UNKNOWN, now);
  const remembered = (deviceId: string): Entry | undefined => known.get(deviceId) ?? unknown.get(deviceId);
  const remember = (deviceId: string, credential: Credential | undefined): void => {
    const [at, notAt, ttlMs] =
      credential === undefined ? [unknown, known, UNKNOWN_TTL_MS] : [known, unknown, KNOWN_TTL_MS];
    at.set(deviceId, {credential}, ttlMs);
    notAt.delete(deviceId);
  };
  /** Devices that the shard was asked for within the last second. */
  const freshened = createLru<true>(MAX_ENTRIES, now);
  /** Devices that a shard with no connection free could not be asked for, since when. */
  const unaskedSince = createLru<number>(MAX_ENTRIES, now);
  /** Anybody may name a device, and all at once the same. */
  const flight = createSingleFlight<Credential | undefined>(MAX_JOINED);

  /** By device, which invalidation was its last; a read keeps its result only when there was none since it began. */
  const invalidations = createLru<number>(MAX_ENTRIES, now);
  let counted = 0;
  const lastInvalidation = (deviceId: string): number => invalidations.get(deviceId) ?? 0;
  const forget = (deviceId: string): void => {
    known.delete(deviceId);
    unknown.delete(deviceId);
    counted += 1;
    invalidations.set(deviceId, counted, LONGEST_READ_S * 1000);
  };
  cache.onAnnounced(forget);

  /** Joins a read of the same kind that is under way, if no invalidation came since. */
  const reading = (kind: string, deviceId: string, read: Read): Promise<Credential | undefined> => {
    const began = counted;
    return flight(`${kind} ${lastInvalidation(deviceId)} ${deviceId}`, async () => {
      const credential = await read(deviceId);
      if (lastInvalidation(deviceId) <= began) remember(deviceId, credential);
      return credential;
    });
  };

  const asking =
    (ask: Read): Read =>
    async (deviceId) => {
      freshened.set(deviceId, true, FRESH_EVERY_MS);
      const credential = await ask(deviceId).catch((error: unknown) => {
        freshened.delete(deviceId);
        throw error;
      });
      unaskedSince.delete(deviceId);
      if (credential !== undefined) await cache.keep(credential);
      return credential;
    };
  const fromShard = asking(load);
  const fromShardQuickly = asking(loadQuickly);

  const fromShardUnlessAway = async (kept: Credential): Promise<Credential | undefined> => {
    const {deviceId} = kept;
    try {
      const credential = await fromShardQuickly(deviceId);
      if (credential === undefined) await cache.drop(deviceId);
      return credential;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'shard-unavailable') return kept;
      if (error.code !== 'overloaded') throw error;
      const since = unaskedSince.get(deviceId) ?? now();
      unaskedSince.set(deviceId, since, CACHE_TTL_SECONDS.credential * 1000);
      return now() - since < BELIEVED_UNASKED_MS ? kept : fromShard(deviceId);
    }
  };

  const fromAnywhere: Read = async (deviceId) => {
    const kept = await cache.find(deviceId);
    if (kept === undefined) return fromShard(deviceId);
    return kept.isBelieved ? kept.credential : fromShardUnlessAway(kept.credential);
  };

  const announce = async (deviceId: string): Promise<void> => {
    await cache.announce(deviceId);
    // Last, so that what was read from Redis a moment ago is forgotten as well.
    forget(deviceId);
  };

  return {
    async find(deviceId) {
      const entry = remembered(deviceId);
      if (entry !== undefined) return entry.credential;
      return reading('any', deviceId, fromAnywhere);
    },

    async findFresh(deviceId) {
      const entry = remembered(deviceId);
      // An entry that came from Redis may be ten minutes old, but one from the shard within the second is fresh enough.
      if (entry !== undefined && freshened.get(deviceId) !== undefined) return entry.credential;
      return reading('fresh', deviceId, fromShard);
    },

    async introduce(credential) {
      await cache.keep(credential);
      await announce(credential.deviceId);
    },

    async invalidate(deviceId) {
      await cache.invalidate(deviceId);
      await announce(deviceId);
    },
  };
};

import {createBreaker} from '../cache/breaker.ts';
import {withLoopTimeout} from '../cache/loop-timeout.ts';
import {createLru} from '../cache/lru.ts';
import {createSingleFlight} from '../cache/single-flight.ts';
import {systemTimers} from '../lifecycle/timers.ts';
import {type Door, MAX_WAITING} from '../limits/door.ts';

/** Looks tokens up by their hash in hex. */
export interface Tokens<T> {
  /** @returns undefined for a token that does not exist or was revoked. @throws when the database does not answer. */
  find(tokenHash: string): Promise<T | undefined>;
}

export interface TokenCache<T> extends Tokens<T> {
  /** Of a token that was ended here: it is unknown from now on, also to what is being read at the moment. */
  forget(tokenHash: string): void;
}

export interface TokenCacheOptions<T> {
  /** Asks the database. */
  readonly find: (tokenHash: string) => Promise<T | undefined>;
  /** Where tokens wait that were never found here. */
  readonly door: Door;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** A revoked token works for no longer than this, while the database answers. */
  readonly freshMs: number;
  /** A token seen this recently goes on working while the database is away. */
  readonly staleMs: number;
}

interface Known<T> {
  readonly token: T;
  readonly readAtMs: number;
}

/** So long whoever is known waits to hear whether he still is; some hundred times what it takes. Then it is not asked again for as long. */
const PATIENCE_MS = 1_000;
/** More than a region has, small enough to forget about. */
const MAX_ENTRIES = 10_000;

/** Remembers answers for a moment, unknown tokens too, so that a page's dozen calls ask the database once. Whoever guesses holds up nobody who is known. */
export const createTokenCache = <T>({find, door, now, freshMs, staleMs}: TokenCacheOptions<T>): TokenCache<T> => {
  const known = createLru<Known<T>>(MAX_ENTRIES, now);
  /** Of their own, so that whoever guesses drives no token out. */
  const unknown = createLru<true>(MAX_ENTRIES, now);
  const flight = createSingleFlight<T | undefined>();
  const breaker = createBreaker({threshold: 1, pauseMs: PATIENCE_MS, now});
  const strangers = createSingleFlight<T | undefined>(MAX_WAITING);

  let forgotten = 0;

  const read = async (hash: string): Promise<T | undefined> => {
    const before = forgotten;
    const token = await find(hash);
    // It may be older than what was ended meanwhile.
    if (before !== forgotten) return token;
    if (token === undefined) {
      known.delete(hash);
      unknown.set(hash, true, freshMs);
    } else {
      // Beyond its time, so that it goes past the door when it is asked for again.
      known.set(hash, {token, readAtMs: now()}, Infinity);
      unknown.delete(hash);
    }
    return token;
  };

  /** What the database says now, or what it said `before` while it does not answer. An answer that comes late is remembered all the same. */
  const refreshed = async (hash: string, before: Known<T>): Promise<T | undefined> => {
    const attempt = breaker.begin();
    if (attempt === undefined) return before.token;
    try {
      const token = await withLoopTimeout(
        flight(hash, () => read(hash)),
        {ms: PATIENCE_MS, timers: {...systemTimers, now}},
      );
      attempt.succeeded();
      return token;
    } catch {
      attempt.failed();
      return before.token;
    }
  };

  return {
    async find(hash) {
      const before = known.get(hash);
      if (before === undefined && unknown.get(hash) !== undefined) return undefined;
      const ageMs = before === undefined ? Infinity : now() - before.readAtMs;
      if (before !== undefined && ageMs < freshMs) return before.token;
      if (before === undefined) return strangers(hash, () => door(() => read(hash)));
      return ageMs < staleMs ? refreshed(hash, before) : flight(hash, () => read(hash));
    },
    forget(hash) {
      forgotten += 1;
      known.delete(hash);
      unknown.set(hash, true, freshMs);
    },
  };
};

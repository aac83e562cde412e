import {randomBytes} from 'node:crypto';
import {createTokenCache} from '@pisync/core/devices/token-cache';
import {CONNECTIONS} from '@pisync/contract/connections';
import {createDoor} from '@pisync/core/limits/door';
import {
  beginSession,
  endSession,
  findSession,
  type SessionActor,
  type StoredSession,
} from '@pisync/core/sessions/sessions';
import type {Shards} from '@pisync/core/shards/shards';
import {hashToken} from './api-tokens.ts';

/** Browsers' sessions, by the id that the cookie has. They are in the control schema, so each ends for all processes. */
export interface Sessions {
  /** @param tokenExpiresAt then the session ends too; null: never */
  begin(
    tokenHash: string,
    tokenExpiresAt: Date | null,
    by: SessionActor,
  ): Promise<{readonly id: string; readonly expiresAtMs: number}>;
  /** Undefined for one that never was, was ended or is over. @throws when the database does not answer and nobody here knows. */
  find(id: string): Promise<{readonly tokenHash: string; readonly expiresAtMs: number} | undefined>;
  /** @throws when the database does not answer: then the session goes on. */
  end(id: string, by: SessionActor): Promise<void>;
}

export interface SessionsOptions {
  readonly shards: Shards;
  /** Milliseconds. */
  readonly now: () => number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  /** A session that was ended elsewhere works for no longer than this, while the database answers. */
  readonly freshMs: number;
  /** One that was seen this recently goes on while the database is away. */
  readonly staleMs: number;
}

/** A working day. */
export const SESSION_MS = 12 * 60 * 60 * 1000;

/** How long a process goes by what it has read of tokens and sessions. */
export const REMEMBERED = {
  /** One that was ended works for no longer than this. */
  freshMs: 5_000,
  /** How long people who were here go on while the control database is away. */
  staleMs: 300_000,
} as const;

const ID_BYTES = 32;

/** Whatever else is no id is not worth a look into the database. */
const ID = /^[\w-]{43}$/;

const keyOf = (hash: string): Buffer => Buffer.from(hash, 'hex');

export const createSessions = ({shards, now, monotonic, freshMs, staleMs}: SessionsOptions): Sessions => {
  const known = createTokenCache<StoredSession>({
    find: (hash) => findSession(shards, keyOf(hash)),
    // Sessions are read where they are written, and the slot map comes over these connections too.
    door: createDoor(CONNECTIONS.adminApi.ingest),
    now: monotonic,
    freshMs,
    staleMs,
  });
  return {
    async begin(tokenHash, tokenExpiresAt, by) {
      const id = randomBytes(ID_BYTES).toString('base64url');
      const expiresAtMs = Math.min(now() + SESSION_MS, tokenExpiresAt?.getTime() ?? Infinity);
      await beginSession(shards, keyOf(hashToken(id)), {tokenHash, expiresAt: new Date(expiresAtMs)}, by);
      return {id, expiresAtMs};
    },
    async find(id) {
      if (!ID.test(id)) return undefined;
      const session = await known.find(hashToken(id));
      if (session === undefined || session.expiresAt.getTime() <= now()) return undefined;
      return {tokenHash: session.tokenHash, expiresAtMs: session.expiresAt.getTime()};
    },
    async end(id, by) {
      const hash = hashToken(id);
      await endSession(shards, keyOf(hash), by);
      known.forget(hash);
    },
  };
};

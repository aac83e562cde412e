import {BOOTSTRAP, type Role, tokenHash} from '@pisync/core/devices/tokens';
import type {SecretToken} from '@pisync/core/secrets/secret-token';

export interface ApiToken {
  readonly name: string;
  readonly role: Role;
}

/** Looks tokens up by their hash. */
export interface ApiTokens {
  /** @returns undefined for a token that does not exist or was revoked. @throws when the database does not answer. */
  find(tokenHash: string): Promise<ApiToken | undefined>;
  /** True for a token that was found here lately; asks nobody. */
  remembers(tokenHash: string): boolean;
}

export const hashToken = (token: string): string => tokenHash(token).toString('hex');

export interface CachedTokensOptions {
  readonly now: () => number;
  /** A revoked token works for no longer than this. */
  readonly freshMs: number;
  /** A token seen this recently goes on working while the control database is away. */
  readonly staleMs: number;
  readonly maxEntries: number;
}

interface Entry {
  readonly token: ApiToken | undefined;
  readonly readAtMs: number;
}

/** Remembers answers for a moment, unknown tokens too, so that a page's dozen calls ask the database once. */
export const cacheApiTokens = (tokens: Pick<ApiTokens, 'find'>, options: CachedTokensOptions): ApiTokens => {
  const entries = new Map<string, Entry>();
  const reading = new Map<string, Promise<ApiToken | undefined>>();

  const read = async (hash: string): Promise<ApiToken | undefined> => {
    const token = await tokens.find(hash);
    entries.delete(hash);
    entries.set(hash, {token, readAtMs: options.now()});
    const oldest = entries.keys().next();
    if (entries.size > options.maxEntries && oldest.done !== true) entries.delete(oldest.value);
    return token;
  };

  return {
    remembers: (hash) => {
      const known = entries.get(hash);
      return known?.token !== undefined && options.now() - known.readAtMs < options.staleMs;
    },
    async find(hash) {
      const known = entries.get(hash);
      const ageMs = known === undefined ? Infinity : options.now() - known.readAtMs;
      if (known !== undefined && ageMs < options.freshMs) return known.token;
      let shared = reading.get(hash);
      if (shared === undefined) {
        shared = read(hash).finally(() => reading.delete(hash));
        reading.set(hash, shared);
      }
      try {
        return await shared;
      } catch (error) {
        if (known?.token !== undefined && ageMs < options.staleMs) return known.token;
        throw error;
      }
    },
  };
};

/** The administrator's token of the Secret goes before those of the control schema; no cache and no database keeps one that was replaced. */
export const withAdminToken = (tokens: ApiTokens, admin: SecretToken): ApiTokens => ({
  remembers: (hash) => admin.matched(hash) || tokens.remembers(hash),
  find: async (hash) => ((await admin.matches(hash)) ? {name: BOOTSTRAP, role: 'admin'} : tokens.find(hash)),
});

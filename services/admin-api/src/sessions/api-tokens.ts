import type {Tokens} from '@pisync/core/devices/token-cache';
import {type ApiToken, tokenHash} from '@pisync/core/devices/tokens';
import type {SecretToken} from '@pisync/core/secrets/secret-token';
import {BOOTSTRAP_NAME} from '@pisync/core/tokens/token-name';

export type ApiTokens = Tokens<ApiToken>;

/** Whoever shows the token of the Secret. */
const BOOTSTRAP: ApiToken = {
  id: null,
  name: BOOTSTRAP_NAME,
  rootId: null,
  role: 'admin',
  scope: undefined,
  expiresAt: null,
};

export const hashToken = (token: string): string => tokenHash(token).toString('hex');

/** The administrator's token of the Secret goes before those of the control schema; no cache and no database keeps one that was replaced. */
export const withAdminToken = (tokens: ApiTokens, admin: SecretToken): ApiTokens => ({
  find: async (hash) => ((await admin.matches(hash)) ? BOOTSTRAP : tokens.find(hash)),
});

import {createHash, timingSafeEqual} from 'node:crypto';
import {AppError} from '@pisync/core/errors/app-error';
import {type ApiTokens, hashToken} from './api-tokens.ts';
import type {Principal} from './principal.ts';
import {type Access, rolesFor} from './roles.ts';
import {csrfTokenOf, sessionIdIn} from './session-cookie.ts';
import type {Sessions} from './sessions.ts';

/** What a request says about who sends it. */
export interface Credentials {
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  readonly csrfToken: string | undefined;
  readonly changesSomething: boolean;
}

export interface Authenticator {
  /** @throws AppError `unauthenticated`, or `forbidden` where a session's change lacks its CSRF token. */
  principalOf(credentials: Credentials): Promise<Principal>;
  /** The principal of a token itself, for sign-in. @throws AppError `unauthenticated`. */
  principalOfToken(token: string): Promise<Principal>;
}

export interface AuthenticatorOptions {
  readonly tokens: ApiTokens;
  readonly sessions: Pick<Sessions, 'find'>;
  /** Name of the cookie that has the session's id. */
  readonly cookieName: string;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Longer than any token that is given out; what is longer is not worth hashing. */
const MAX_TOKEN_LENGTH = 512;

export const createAuthenticator = ({tokens, sessions, cookieName, now}: AuthenticatorOptions): Authenticator => {
  const lookUp = async (tokenHash: string, unknown: string): Promise<Principal> => {
    const token = await tokens.find(tokenHash);
    // Asked of each call: a token that is remembered, while the database is away for instance, expires all the same.
    if (token !== undefined && (token.expiresAt === null || token.expiresAt.getTime() > now()))
      return {tokenHash, ...token};
    throw new AppError('unauthenticated', unknown);
  };

  const principalOfToken = (token: string): Promise<Principal> =>
    lookUp(
      hashToken(token.slice(0, MAX_TOKEN_LENGTH + 1)),
      'This API token does not exist, or it expired or was revoked.',
    );

  return {
    principalOfToken,
    async principalOf({authorization, cookie, csrfToken, changesSomething}) {
      if (authorization !== undefined) {
        const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
        if (token === undefined) {
          throw new AppError('unauthenticated', 'The Authorization header must read: Bearer <API token>.');
        }
        return principalOfToken(token);
      }
      const id = sessionIdIn(cookieName, cookie);
      const session = id === undefined ? undefined : await sessions.find(id);
      if (id === undefined || session === undefined) {
        throw new AppError(
          'unauthenticated',
          'Sign in at POST /api/v1/session, or send Authorization: Bearer <API token>.',
        );
      }
      const ownCsrfToken = csrfTokenOf(id);
      if (changesSomething && !sameText(csrfToken ?? '', ownCsrfToken)) {
        throw new AppError(
          'forbidden',
          'A change with a session must repeat its csrfToken in the header X-CSRF-Token.',
        );
      }
      const principal = await lookUp(
        session.tokenHash,
        'The API token behind this session expired or was revoked; sign in again.',
      );
      return {...principal, session: {id, csrfToken: ownCsrfToken, expiresAtMs: session.expiresAtMs}};
    },
  };
};

const sameText = (a: string, b: string): boolean => {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
};

/** @throws AppError `forbidden` when the role does not suffice. */
export const authorize = (principal: Principal, access: Access): void => {
  const roles = rolesFor(access);
  if (!roles.includes(principal.role)) {
    throw new AppError('forbidden', `The role ${principal.role} may not do this; it needs ${roles.join(' or ')}.`);
  }
};

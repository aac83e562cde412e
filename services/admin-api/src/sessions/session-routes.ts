import {z} from 'zod';
import type {Groups} from '@pisync/core/devices/groups';
import type {Scope} from '@pisync/core/devices/scope';
import {actorOf} from '../audit/actor.ts';
import {route, type Route} from '../http/route.ts';
import {timestamp} from '../paging/page-schema.ts';
import type {Authenticator} from './authenticate.ts';
import type {Principal} from './principal.ts';
import {countCall, type CallLimiter} from './rate-limit.ts';
import {ROLES} from './roles.ts';
import {csrfTokenOf, endedSessionCookie, sessionCookie} from './session-cookie.ts';
import type {Sessions} from './sessions.ts';

export interface SessionRoutesOptions {
  readonly authenticator: Authenticator;
  /** Of API tokens. */
  readonly limiter: CallLimiter;
  readonly sessions: Sessions;
  readonly cookieName: string;
  readonly region: () => string;
  readonly groups: Groups;
}

const PATH = '/api/v1/session';

const sessionSchema = z.object({
  name: z.string().describe("The API token's name."),
  role: z.enum(ROLES),
  groups: z.array(z.string()).nullable().describe('The groups that it is for; null: all.'),
  region: z.string(),
  id: z.uuid().nullable().describe('Of the API token; null: that of the Secret.'),
  csrfToken: z
    .string()
    .describe('To be repeated in X-CSRF-Token by every change. Empty where a token was sent instead of a session.'),
  expiresAt: timestamp.nullable(),
});

/** Sign-in for browsers: a token becomes a cookie that scripts cannot read. */
export const sessionRoutes = (options: SessionRoutesOptions): readonly Route[] => {
  const {authenticator, limiter, sessions, cookieName, region, groups} = options;
  const namesOf = async (scope: Scope): Promise<string[] | null> => {
    if (scope === undefined) return null;
    const names = await groups.names();
    return scope.map((groupId) => names.nameOf(groupId));
  };
  const show = async ({id, name, role, scope, session}: Principal): Promise<z.input<typeof sessionSchema>> => ({
    name,
    role,
    groups: await namesOf(scope),
    region: region(),
    id,
    csrfToken: session?.csrfToken ?? '',
    expiresAt: session === undefined ? null : new Date(session.expiresAtMs).toISOString(),
  });
  return [
    route(
      {
        method: 'post',
        path: PATH,
        operationId: 'signIn',
        summary: 'Exchange an API token for a session cookie.',
        access: 'anyone',
        body: z.strictObject({token: z.string().min(1).max(512)}),
        success: {status: 200, description: 'Signed in; the cookie is set.', schema: sessionSchema},
        problems: {401: 'No such token.', 429: 'Too many calls of this token; `Retry-After` says when to come back.'},
      },
      async ({body, reached, origin}) => {
        const principal = await authenticator.principalOfToken(body.token);
        // It writes a row.
        const counted = await countCall(limiter, principal);
        const begun = await sessions.begin(principal.tokenHash, principal.expiresAt, {
          actor: actorOf(principal, origin),
          scope: principal.scope,
        });
        const session = {...begun, csrfToken: csrfTokenOf(begun.id)};
        return {
          body: await show({...principal, session}),
          headers: {...counted, 'Set-Cookie': sessionCookie(cookieName, begun.id, reached.secure)},
        };
      },
    ),
    route(
      {
        method: 'get',
        path: PATH,
        operationId: 'getSession',
        summary: 'Who is calling.',
        access: 'read',
        success: {status: 200, description: 'The session, or the token behind the call.', schema: sessionSchema},
      },
      async ({principal}) => ({body: await show(principal)}),
    ),
    route(
      {
        method: 'delete',
        path: PATH,
        operationId: 'signOut',
        summary: 'End the session.',
        access: 'read',
        success: {
          status: 204,
          description: 'The session has ended, within five seconds for every process, and the cookie is gone.',
        },
      },
      async ({principal, reached, origin}) => {
        const {session, scope} = principal;
        if (session !== undefined) await sessions.end(session.id, {actor: actorOf(principal, origin), scope});
        return {body: undefined, headers: {'Set-Cookie': endedSessionCookie(cookieName, reached.secure)}};
      },
    ),
  ];
};

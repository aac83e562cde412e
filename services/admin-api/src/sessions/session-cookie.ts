import {createHash} from 'node:crypto';
import {SESSION_MS} from './sessions.ts';

/** Of a region, because browsers keep one of a name for a host, whatever its ports: two regions on one host do not overwrite each other's. */
export const sessionCookieName = (region: string): string => `pisync_session_${region}`;

/** The `Set-Cookie` value of a new session. `Secure` only where the browser came over TLS, else it would drop the cookie. */
export const sessionCookie = (name: string, id: string, secure: boolean): string =>
  attributes(`${name}=${id}`, SESSION_MS / 1000, secure);

/** The `Set-Cookie` value that takes the cookie away from the browser. */
export const endedSessionCookie = (name: string, secure: boolean): string => attributes(`${name}=`, 0, secure);

const attributes = (cookie: string, maxAgeSeconds: number, secure: boolean): string =>
  [cookie, 'Path=/', `Max-Age=${maxAgeSeconds}`, 'HttpOnly', 'SameSite=Strict', ...(secure ? ['Secure'] : [])].join(
    '; ',
  );

/** The session's id in a `Cookie` header, among the cookies of whatever else is on this host. */
export const sessionIdIn = (name: string, cookieHeader: string | undefined): string | undefined =>
  (cookieHeader ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1);

/** What a change with the session has to repeat: who knows the id knows it, and it does not tell the id. */
export const csrfTokenOf = (id: string): string => createHash('sha256').update(`csrf ${id}`).digest('base64url');

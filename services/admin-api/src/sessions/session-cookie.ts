import {z} from 'zod';
import type {Signer} from '../signing/signer.ts';

/** A browser's session: which token stands behind it, until when, and the CSRF token that goes with it. */
export interface Session {
  readonly tokenHash: string;
  readonly csrfToken: string;
  readonly expiresAtMs: number;
}

const COOKIE = 'pisync_session';
/** A working day; the token behind it is looked up at each call, so revoking the token ends its sessions at once. */
export const SESSION_MS = 12 * 60 * 60 * 1000;

const sessionSchema = z.object({tokenHash: z.string(), csrfToken: z.string(), expiresAtMs: z.number()});

/** The `Set-Cookie` value of a new session. `Secure` only where the browser came over TLS, else it would drop the cookie. */
export const sessionCookie = async (signer: Signer, session: Session, secure: boolean): Promise<string> =>
  attributes(`${COOKIE}=${await signer.seal('session', '', session)}`, SESSION_MS / 1000, secure);

/** The `Set-Cookie` value that ends the session in the browser. */
export const endedSessionCookie = (secure: boolean): string => attributes(`${COOKIE}=`, 0, secure);

const attributes = (cookie: string, maxAgeSeconds: number, secure: boolean): string =>
  [cookie, 'Path=/', `Max-Age=${maxAgeSeconds}`, 'HttpOnly', 'SameSite=Strict', ...(secure ? ['Secure'] : [])].join(
    '; ',
  );

/** The session in a `Cookie` header, if it holds one that was signed here and has not ended. */
export const readSession = async (
  signer: Signer,
  cookieHeader: string | undefined,
  nowMs: number,
): Promise<Session | undefined> => {
  const sealed = (cookieHeader ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${COOKIE}=`))
    ?.slice(COOKIE.length + 1);
  if (sealed === undefined) return undefined;
  const session = sessionSchema.safeParse(await signer.open('session', '', sealed));
  return session.success && session.data.expiresAtMs > nowMs ? session.data : undefined;
};

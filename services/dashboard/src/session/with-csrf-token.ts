import {ApiError} from '../api/client.ts';
import type {Session} from '../api/types.ts';

/**
 * Makes a change with the session's CSRF token. Signing in in another tab replaces the session of this one, so a token that was refused is
 * read again, once.
 * @throws what the change throws.
 */
export const withCsrfToken = async <T>(
  known: Session,
  readSession: () => Promise<Session | null>,
  change: (csrfToken: string) => Promise<T>,
): Promise<T> => {
  try {
    return await change(known.csrfToken);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error;
    const current = await readSession();
    if (current === null || current.csrfToken === known.csrfToken) throw error;
    return change(current.csrfToken);
  }
};

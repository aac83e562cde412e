import {ApiError} from '../api/client.ts';
import type {Session} from '../api/types.ts';
import {personOf} from './session-state.ts';

/**
 * Makes a change with the session's CSRF token. Signing in in another tab replaces the session of this one, so a token that was refused is
 * read again, once. Only the same person's change is made again: the page named who makes it.
 * @throws what the change throws, or that somebody else is signed in.
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
    if (personOf(current) !== personOf(known)) {
      throw new Error(`Another tab signed in as ${current.name} (${current.role}). Nothing was done.`, {cause: error});
    }
    return change(current.csrfToken);
  }
};

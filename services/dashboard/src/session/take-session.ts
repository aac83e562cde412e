import type {Query, QueryClient} from '@tanstack/react-query';
import type {Session} from '../api/types.ts';
import {nextSession, NOBODY, personOf, SESSION_KEY, type SessionState} from './session-state.ts';

/** All that was read as somebody. */
const READ = {predicate: ({queryKey}: Query) => queryKey[0] !== SESSION_KEY[0]};

const knownSession = (queries: QueryClient): SessionState => queries.getQueryData<SessionState>(SESSION_KEY) ?? NOBODY;

export const isShownTo = (queries: QueryClient, session: Session): boolean => {
  const {who} = knownSession(queries);
  return who !== null && personOf(who) === personOf(session);
};

/** Notes what the server said of the session. What one person has read is never shown to another. @param answer null: nobody */
export const takeSession = async (queries: QueryClient, answer: Session | null): Promise<SessionState> => {
  const {who, hasEnded} = knownSession(queries);
  if (answer !== null && who !== null) {
    if (personOf(who) !== personOf(answer)) queries.removeQueries(READ);
    // A late 401 would end the session again.
    else if (hasEnded) await queries.cancelQueries(READ);
  }
  const next = nextSession(queries.getQueryData<SessionState>(SESSION_KEY), answer);
  queries.setQueryData<SessionState>(SESSION_KEY, next);
  if (hasEnded && !next.hasEnded) {
    for (const query of queries.getQueryCache().findAll(READ)) {
      // What failed for want of a session is tried again, and not told.
      if (query.state.data !== undefined && query.state.error !== null)
        query.setState({error: null, status: 'success'});
    }
    void queries.invalidateQueries(READ);
  }
  return next;
};

/** The person has signed out. */
export const leaveSession = (queries: QueryClient): void => {
  // The session stays in the cache, as "nobody": the page looks at it and shows the sign-in form.
  queries.setQueryData<SessionState>(SESSION_KEY, NOBODY);
  queries.removeQueries(READ);
};

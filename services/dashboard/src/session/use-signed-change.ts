import {useQueryClient} from '@tanstack/react-query';
import {useApi} from '../api/api-context.ts';
import {useSession} from './session-context.ts';
import {nextSession, SESSION_KEY, type SessionState} from './session-state.ts';
import {withCsrfToken} from './with-csrf-token.ts';

/** Makes a change as who the page says is signed in. When somebody else is by now, the page says that instead. */
export const useSignedChange = (): (<T>(change: (csrfToken: string) => Promise<T>) => Promise<T>) => {
  const api = useApi();
  const queries = useQueryClient();
  const session = useSession();
  const readSession = async () => {
    const answer = await api.session();
    queries.setQueryData<SessionState>(SESSION_KEY, (before) => nextSession(before, answer));
    return answer;
  };
  return (change) => withCsrfToken(session, readSession, change);
};

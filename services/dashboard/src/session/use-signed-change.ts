import {useQueryClient} from '@tanstack/react-query';
import {useApi} from '../api/api-context.ts';
import {useSession} from './session-context.ts';
import {isShownTo, takeSession} from './take-session.ts';
import {withCsrfToken} from './with-csrf-token.ts';

/** Makes a change as who the page says is signed in. When somebody else is by now, the page says that instead. */
export const useSignedChange = (): (<T>(change: (csrfToken: string) => Promise<T>) => Promise<T>) => {
  const api = useApi();
  const queries = useQueryClient();
  const session = useSession();
  const readSession = async () => {
    const answer = await api.session();
    await takeSession(queries, answer);
    return answer;
  };
  return async (change) => {
    const answer = await withCsrfToken(session, readSession, change);
    if (!isShownTo(queries, session)) throw new Error(`${session.name} is not signed in any more.`);
    return answer;
  };
};

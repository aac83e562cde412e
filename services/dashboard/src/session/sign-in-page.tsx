import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, type SubmitEvent, useEffect, useRef, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import {Dialog} from '../layout/dialog.tsx';
import {Logo} from '../layout/logo.tsx';
import {takeSession} from './take-session.ts';

/** `ended`: somebody was signed in here and is no more, without having asked for it. Then it covers what he saw. */
export const SignInPage = ({ended}: {readonly ended: boolean}): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const [token, setToken] = useState('');
  const field = useRef<HTMLInputElement>(null);
  const signIn = useMutation({
    mutationFn: () => api.signIn(token.trim()),
    onSuccess: async (session) => {
      // What was asked for before says nothing of this session, and a late 401 would end it.
      await queries.cancelQueries();
      await takeSession(queries, session);
    },
    onError: () => field.current?.focus(),
  });
  useEffect(() => {
    const before = document.title;
    document.title = 'Sign in · PiSync';
    return () => {
      document.title = before;
    };
  }, []);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (!signIn.isPending) signIn.mutate();
  };
  const Frame = ended ? Cover : 'main';
  return (
    <Frame className="sign-in">
      <form onSubmit={submit} className="panel sign-in-panel" data-testid="sign-in">
        <h1>
          <Logo /> PiSync
        </h1>
        {ended ? (
          <p role="status">Your session has ended. Sign in to go on where you were.</p>
        ) : (
          <p className="faint">Sign in with an API token to see this region.</p>
        )}
        <label htmlFor="token">API token</label>
        <input
          id="token"
          ref={field}
          name="token"
          type="password"
          autoComplete="current-password"
          spellCheck={false}
          required
          autoFocus
          value={token}
          aria-invalid={signIn.isError}
          aria-describedby={signIn.isError ? 'sign-in-error' : 'sign-in-hint'}
          onChange={(event) => setToken(event.target.value)}
        />
        {signIn.isError ? (
          <p id="sign-in-error" className="field-error" role="alert">
            {signIn.error.message}
          </p>
        ) : (
          <p id="sign-in-hint" className="faint hint">
            The first one is in Secret <code>&lt;name&gt;-bootstrap</code>, key <code>admin-token</code>; the name is
            that of the PiSyncRegion object.
          </p>
        )}
        <button type="submit" className="button button-primary" aria-disabled={signIn.isPending}>
          {signIn.isPending ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </Frame>
  );
};

const Cover = (props: {readonly className: string; readonly children: ReactNode}): ReactNode => (
  <Dialog {...props} aria-label="Sign in" stays />
);

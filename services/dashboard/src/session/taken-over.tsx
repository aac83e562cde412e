import {useQueryClient} from '@tanstack/react-query';
import type {ReactNode} from 'react';
import type {Session} from '../api/types.ts';
import {SESSION_KEY, type SessionState} from './session-state.ts';

/** Says that the page has become another person's. */
export const TakenOver = ({session: {name, role}}: {readonly session: Session}): ReactNode => {
  const queries = useQueryClient();
  const close = (): void =>
    void queries.setQueryData<SessionState>(SESSION_KEY, (state) =>
      state === undefined ? undefined : {...state, isTakenOver: false},
    );
  return (
    <p className="notice" role="alert">
      Another tab signed in as {name} ({role}). What was not saved here is dropped.{' '}
      <button type="button" className="button" onClick={close}>
        Close
      </button>
    </p>
  );
};

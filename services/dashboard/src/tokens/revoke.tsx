import {useQueryClient} from '@tanstack/react-query';
import type {ReactNode} from 'react';
import {useApi} from '../api/api-context.ts';
import type {TokenLists} from '../api/client.ts';
import {Question} from '../layout/question.tsx';
import {useSignedChange} from '../session/use-signed-change.ts';

/** Ends a token, after a question: there is no way back. */
export const Revoke = ({
  kind,
  id,
  name,
  consequence,
  onRevoked,
}: {
  readonly kind: keyof TokenLists;
  readonly id: string;
  readonly name: string;
  readonly consequence: string;
  readonly onRevoked: () => void;
}): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const change = useSignedChange();
  return (
    <Question
      action="Revoke"
      label={`Revoke ${name}`}
      title={`Revoke “${name}”?`}
      no="Keep it"
      yes="Revoke it"
      doing="Revoking…"
      act={() => change((csrfToken) => api.revokeToken(kind, id, csrfToken))}
      onDone={() => {
        onRevoked();
        void queries.invalidateQueries({queryKey: ['tokens', kind]});
      }}
    >
      {consequence} It cannot be taken back.
    </Question>
  );
};

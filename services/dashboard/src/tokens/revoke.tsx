import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useId, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import type {TokenLists} from '../api/client.ts';
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
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const revoke = useMutation({
    mutationFn: () => change((csrfToken) => api.revokeToken(kind, id, csrfToken)),
    onSuccess: () => {
      dialog.current?.close();
      onRevoked();
      void queries.invalidateQueries({queryKey: ['tokens', kind]});
    },
  });
  return (
    <>
      <button
        type="button"
        className="button"
        aria-label={`Revoke ${name}`}
        onClick={() => {
          revoke.reset();
          dialog.current?.showModal();
        }}
      >
        Revoke
      </button>
      <dialog ref={dialog} className="question" aria-labelledby={titleId}>
        <h2 id={titleId}>Revoke “{name}”?</h2>
        <p>{consequence} It cannot be taken back.</p>
        {revoke.isError ? (
          <p className="field-error" role="alert">
            {revoke.error.message}
          </p>
        ) : null}
        <div className="question-answers">
          <button type="button" className="button" autoFocus onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <button
            type="button"
            className="button button-primary"
            disabled={revoke.isPending}
            onClick={() => revoke.mutate()}
          >
            {revoke.isPending ? 'Revoking…' : 'Revoke it'}
          </button>
        </div>
      </dialog>
    </>
  );
};

import {useMutation} from '@tanstack/react-query';
import {type ReactNode, useId, useRef, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import {ApiError, type GroupChanges} from '../api/client.ts';
import type {Group} from '../api/types.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {visibleGroup} from '../text/visible-name.ts';
import {FilterField, filterFaultIn} from './filter-field.tsx';
import {useChangedGroups} from './use-changed-groups.ts';

/** A button that opens a form for the name of a group and, of a dynamic one, its filter. */
export const EditGroup = ({group}: {readonly group: Group}): ReactNode => {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  /** As it was when the form began; null while there is no form. */
  const [before, setBefore] = useState<Group | null>(null);
  return (
    <>
      <button
        type="button"
        className="button"
        aria-label={`Edit ${visibleGroup(group.name)}`}
        onClick={() => {
          setBefore(group);
          dialog.current?.showModal();
        }}
      >
        Edit
      </button>
      <dialog ref={dialog} className="question" aria-labelledby={titleId} onClose={() => setBefore(null)}>
        <h2 id={titleId}>Change “{visibleGroup(group.name)}”</h2>
        {before === null ? null : (
          <EditForm
            key={before.revision}
            before={before}
            close={() => dialog.current?.close()}
            beginAgain={group.revision === before.revision ? undefined : () => setBefore(group)}
          />
        )}
      </dialog>
    </>
  );
};

const EditForm = ({
  before,
  close,
  beginAgain,
}: {
  readonly before: Group;
  readonly close: () => void;
  /** Where the group is not any more what it was. */
  readonly beginAgain: (() => void) | undefined;
}): ReactNode => {
  const api = useApi();
  const change = useSignedChange();
  const changed = useChangedGroups();
  const [name, setName] = useState(before.name);
  const [filter, setFilter] = useState(before.filter);
  const save = useMutation({
    mutationFn: async (changes: GroupChanges) => {
      if (Object.keys(changes).length === 0) return;
      await change((csrfToken) => api.changeGroup(before.id, changes, before.revision, csrfToken));
    },
    onSuccess: () => {
      close();
      changed();
    },
    onError: (error) => {
      if (isStale(error)) changed();
    },
  });
  return (
    <form
      className="edit-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (save.isPending) return;
        save.mutate({
          ...(name === before.name ? {} : {name}),
          ...(filter === null || filter === before.filter ? {} : {filter}),
        });
      }}
    >
      <label>
        Name
        <input
          type="text"
          autoFocus
          required
          maxLength={64}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      {filter === null ? null : (
        <FilterField filter={filter} change={setFilter} sent={save.variables?.filter ?? ''} error={save.error} />
      )}
      {save.isError && filterFaultIn(save.error) === undefined ? (
        <p className="field-error" role="alert">
          {isStale(save.error)
            ? 'Somebody else has changed this group meanwhile. Nothing is saved.'
            : save.error.message}
        </p>
      ) : null}
      <div className="question-answers">
        {isStale(save.error) && beginAgain !== undefined ? (
          <button type="button" className="button" onClick={beginAgain}>
            Begin again with what it is now
          </button>
        ) : null}
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button button-primary" aria-disabled={save.isPending}>
          {save.isPending ? 'Saving…' : 'Save'}
        </button>
      </div>
    </form>
  );
};

const isStale = (error: Error | null): boolean => error instanceof ApiError && error.status === 412;

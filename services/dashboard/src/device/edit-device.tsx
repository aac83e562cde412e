import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useId, useRef, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import {ApiError} from '../api/client.ts';
import type {Device} from '../api/types.ts';
import {Dialog} from '../layout/dialog.tsx';
import {GroupField} from '../layout/group-field.tsx';
import {mayOperate, useSession} from '../session/session-context.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {visibleName} from '../text/visible-name.ts';
import {changesOf, editedOf, faultIn} from './device-changes.ts';
import {useChangedDevice} from './use-changed-device.ts';

/** As the API has it. */
const MAX_TAGS = 32;

/** A button that opens a form for name, group and tags. */
export const EditDevice = ({device}: {readonly device: Device}): ReactNode => {
  const session = useSession();
  /** As it was when the form began; null while there is no form. */
  const [before, setBefore] = useState<Device | null>(null);
  if (!mayOperate(session)) return null;
  return (
    <>
      <button type="button" className="button" onClick={() => setBefore(device)}>
        Edit
      </button>
      {before === null ? null : (
        <EditForm
          key={before.revision}
          before={before}
          leave={() => setBefore(null)}
          beginAgain={device.revision === before.revision ? undefined : () => setBefore(device)}
        />
      )}
    </>
  );
};

/** Once it is saved, it stays until it is known what came of it. */
const EditForm = ({
  before,
  leave,
  beginAgain,
}: {
  readonly before: Device;
  readonly leave: () => void;
  /** Where the device is not any more what it was. */
  readonly beginAgain: (() => void) | undefined;
}): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const change = useSignedChange();
  const changed = useChangedDevice();
  const titleId = useId();
  const [edited, setEdited] = useState(() => editedOf(before));
  const [fault, setFault] = useState<string>();
  const save = useMutation({
    mutationFn: async () => {
      const changes = changesOf(before, edited);
      if (changes === undefined) return undefined;
      return change((csrfToken) => api.changeDevice(before.id, changes, before.revision, csrfToken));
    },
    onSuccess: (answer) => {
      leave();
      if (answer !== undefined) void changed(answer);
    },
    onError: (error) => {
      if (isStale(error)) void queries.invalidateQueries({queryKey: ['device', before.id], exact: true});
    },
  });
  return (
    <Dialog aria-labelledby={titleId} stays={save.isPending} leave={leave}>
      <h2 id={titleId}>Name, group and tags</h2>
      <form
        className="edit-form"
        onSubmit={(event) => {
          event.preventDefault();
          const found = faultIn(edited);
          setFault(found);
          if (found === undefined && !save.isPending) save.mutate();
        }}
      >
        <label>
          Name
          <input
            type="text"
            maxLength={128}
            placeholder="none: it is shown by its id"
            value={edited.name}
            onChange={(event) => setEdited({...edited, name: event.target.value})}
          />
        </label>
        <GroupField group={edited.group} change={(group) => setEdited({...edited, group})} />
        <Tags tags={edited.tags} change={(tags) => setEdited({...edited, tags})} />
        {fault === undefined ? null : (
          <p className="field-error" role="alert">
            {fault}
          </p>
        )}
        {fault === undefined && save.isError ? (
          <p className="field-error" role="alert">
            {isStale(save.error)
              ? 'Somebody else has changed this device meanwhile. Nothing is saved.'
              : save.error.message}
          </p>
        ) : null}
        <div className="question-answers">
          {isStale(save.error) && beginAgain !== undefined ? (
            <button type="button" className="button" onClick={beginAgain}>
              Begin again with what it is now
            </button>
          ) : null}
          <button
            type="button"
            className="button"
            aria-disabled={save.isPending}
            onClick={() => {
              if (!save.isPending) leave();
            }}
          >
            Cancel
          </button>
          <button type="submit" className="button button-primary" aria-disabled={save.isPending}>
            {save.isPending ? 'Saving…' : 'Save'}
          </button>
        </div>
      </form>
    </Dialog>
  );
};

const isStale = (error: Error | null): boolean => error instanceof ApiError && error.status === 412;

type EditedTags = ReturnType<typeof editedOf>['tags'];

const Tags = ({tags, change}: {readonly tags: EditedTags; readonly change: (tags: EditedTags) => void}): ReactNode => {
  const add = useRef<HTMLButtonElement>(null);
  const put = (key: number, part: {readonly name?: string; readonly value?: string}): void =>
    change(tags.map((tag) => (tag.key === key ? {...tag, ...part} : tag)));
  return (
    <fieldset>
      <legend>Tags</legend>
      {tags.map(({key, name, value}, place) => (
        <div key={key} className="edit-tag">
          <input
            type="text"
            aria-label={`Name of tag ${place + 1}`}
            placeholder="name"
            maxLength={64}
            // One that was just added.
            autoFocus={name === '' && value === ''}
            value={name}
            onChange={(event) => put(key, {name: event.target.value})}
          />
          <input
            type="text"
            aria-label={`Value of tag ${place + 1}`}
            placeholder="value"
            maxLength={256}
            value={value}
            onChange={(event) => put(key, {value: event.target.value})}
          />
          <button
            type="button"
            className="button"
            aria-label={`Remove tag ${visibleName(name, String(place + 1))}`}
            onClick={() => {
              change(tags.filter((tag) => tag.key !== key));
              // The button is gone.
              add.current?.focus();
            }}
          >
            Remove
          </button>
        </div>
      ))}
      <button
        ref={add}
        type="button"
        className="button"
        aria-disabled={tags.length >= MAX_TAGS}
        onClick={() => {
          if (tags.length >= MAX_TAGS) return;
          change([...tags, {key: Math.max(-1, ...tags.map(({key}) => key)) + 1, name: '', value: ''}]);
        }}
      >
        Add a tag
      </button>
    </fieldset>
  );
};

import {type ReactNode, useId} from 'react';
import {useKnownGroups} from '../summary/use-known-groups.ts';

interface GroupFieldProps {
  readonly group: string;
  readonly change: (group: string) => void;
}

/** The name of a group, which may be one without devices; those that have some are proposed. */
export const GroupField = ({group, change}: GroupFieldProps): ReactNode => {
  const listId = useId();
  const groups = useKnownGroups();
  return (
    <>
      <label>
        Group
        <input type="text" required list={listId} value={group} onChange={(event) => change(event.target.value)} />
      </label>
      <datalist id={listId}>
        {groups.map((known) => (
          <option key={known} value={known} />
        ))}
      </datalist>
    </>
  );
};

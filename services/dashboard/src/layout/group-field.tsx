import {type ReactNode, useId} from 'react';
import {useStaticGroups} from '../groups/use-groups.ts';

interface GroupFieldProps {
  readonly group: string;
  readonly change: (group: string) => void;
}

/** The name of a static group; those that there are are proposed. */
export const GroupField = ({group, change}: GroupFieldProps): ReactNode => {
  const listId = useId();
  const groups = useStaticGroups();
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

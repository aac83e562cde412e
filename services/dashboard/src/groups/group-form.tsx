import {useMutation} from '@tanstack/react-query';
import {type ReactNode, useRef, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import type {GroupWish} from '../api/client.ts';
import {newCallKey} from '../session/call-key.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {FilterField, filterFaultIn} from './filter-field.tsx';
import {useChangedGroups} from './use-changed-groups.ts';

const EMPTY = {name: '', isDynamic: false, filter: ''};

/** Makes a group. */
export const GroupForm = (): ReactNode => {
  const api = useApi();
  const change = useSignedChange();
  const changed = useChangedGroups();
  const [state, setState] = useState(EMPTY);
  const [made, setMade] = useState('');
  const name = useRef<HTMLInputElement>(null);
  const call = useRef({of: state, key: ''});
  const make = useMutation({
    mutationFn: (wish: GroupWish) => {
      if (call.current.of !== state || call.current.key === '') call.current = {of: state, key: newCallKey()};
      const {key} = call.current;
      return change((csrfToken) => api.makeGroup(wish, key, csrfToken));
    },
    onSuccess: ({data}) => {
      setMade(`The group ${data.name} is made.`);
      setState(EMPTY);
      changed();
      name.current?.focus();
    },
  });
  return (
    <form
      className="token-form"
      aria-label="New group"
      onSubmit={(event) => {
        event.preventDefault();
        setMade('');
        if (!make.isPending) make.mutate({name: state.name, filter: state.isDynamic ? state.filter : null});
      }}
    >
      <label>
        Name
        <input
          ref={name}
          type="text"
          required
          maxLength={64}
          placeholder="greenhouses"
          value={state.name}
          onChange={(event) => setState({...state, name: event.target.value})}
        />
      </label>
      <label>
        Kind
        <select
          value={state.isDynamic ? 'dynamic' : 'static'}
          onChange={(event) => setState({...state, isDynamic: event.target.value === 'dynamic'})}
        >
          <option value="static">static: devices are put into it</option>
          <option value="dynamic">dynamic: whatever a filter finds</option>
        </select>
      </label>
      {state.isDynamic ? (
        <FilterField
          filter={state.filter}
          change={(filter) => setState({...state, filter})}
          sent={make.variables?.filter ?? ''}
          error={make.error}
        />
      ) : null}
      <button type="submit" className="button button-primary" aria-disabled={make.isPending}>
        {make.isPending ? 'Making…' : 'Make group'}
      </button>
      {make.isError && !(state.isDynamic && filterFaultIn(make.error) !== undefined) ? (
        <p className="field-error" role="alert">
          {make.error.message}
        </p>
      ) : null}
      <span role="status" className="faint">
        <bdi>{made}</bdi>
      </span>
    </form>
  );
};

import {type ReactNode, useState} from 'react';
import {type MadeToken, ROLES} from '../api/types.ts';
import {useStaticGroups} from '../groups/use-groups.ts';
import {GroupField} from '../layout/group-field.tsx';
import {Menu} from '../layout/menu.tsx';
import {visibleGroup} from '../text/visible-name.ts';
import {CommonFields, expiryAfter, TokenForm} from './token-form.tsx';

interface FormProps {
  readonly onMade: (made: MadeToken) => void;
}

export const EnrolmentTokenForm = ({onMade}: FormProps): ReactNode => {
  const [state, setState] = useState({name: '', days: '7', group: 'default', maxDevices: ''});
  return (
    <TokenForm
      kind="enrolment-tokens"
      state={state}
      onMade={onMade}
      wishOf={(nowMs) => ({
        name: state.name,
        group: state.group,
        maxDevices: state.maxDevices === '' ? null : Number(state.maxDevices),
        expiresAt: expiryAfter(state.days, nowMs),
      })}
    >
      <CommonFields state={state} change={setState} example="greenhouses, spring" />
      <GroupField group={state.group} change={(group) => setState({...state, group})} />
      <label>
        Most devices
        <input
          type="number"
          min={1}
          max={10_000_000}
          placeholder="no limit"
          value={state.maxDevices}
          onChange={(event) => setState({...state, maxDevices: event.target.value})}
        />
      </label>
    </TokenForm>
  );
};

const isRole = (text: string): text is (typeof ROLES)[number] => ROLES.some((role) => role === text);

export const ApiTokenForm = ({onMade}: FormProps): ReactNode => {
  const [state, setState] = useState<{
    readonly name: string;
    readonly days: string;
    readonly role: (typeof ROLES)[number];
    readonly groups: readonly string[];
  }>({name: '', days: '365', role: 'viewer', groups: []});
  const known = useStaticGroups();
  const chooseRole = (role: string): void => {
    if (isRole(role)) setState({...state, role});
  };
  const toggle = (group: string): void =>
    setState({
      ...state,
      groups: state.groups.includes(group) ? state.groups.filter((one) => one !== group) : [...state.groups, group],
    });
  return (
    <TokenForm
      kind="api-tokens"
      state={state}
      onMade={onMade}
      wishOf={(nowMs) => ({
        name: state.name,
        role: state.role,
        groups: state.groups.length === 0 ? null : state.groups,
        expiresAt: expiryAfter(state.days, nowMs),
      })}
    >
      <CommonFields state={state} change={setState} example="Ann, night shift" />
      <label>
        Role
        <select value={state.role} onChange={(event) => chooseRole(event.target.value)}>
          {ROLES.map((role) => (
            <option key={role} value={role}>
              {role}
            </option>
          ))}
        </select>
      </label>
      <Menu
        title={state.groups.length === 0 ? 'Groups: all' : `Groups: ${state.groups.map(visibleGroup).join(', ')}`}
        legend="Groups that the token is for"
      >
        {known.map((group) => (
          <label key={group}>
            <input type="checkbox" checked={state.groups.includes(group)} onChange={() => toggle(group)} />
            {visibleGroup(group)}
          </label>
        ))}
        <p className="faint hint">None chosen: all groups that you see yourself.</p>
      </Menu>
    </TokenForm>
  );
};

import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import {ApiError, type TokenWishes} from '../api/client.ts';
import type {MadeToken} from '../api/types.ts';
import {newCallKey} from '../session/call-key.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {useNow} from '../time/time.tsx';
import {visibleName} from '../text/visible-name.ts';
import {Revoke} from './revoke.tsx';

const DAY_MS = 86_400_000;

/** How long a token may last, in days; empty: until it is revoked. */
const LIFETIMES = [
  ['1', 'a day'],
  ['7', 'a week'],
  ['30', '30 days'],
  ['365', 'a year'],
  ['', 'until revoked'],
] as const;

export const expiryAfter = (days: string, nowMs: number): string | null =>
  days === '' ? null : new Date(nowMs + Number(days) * DAY_MS).toISOString();

/** What every token is asked: its name, and how long it works. */
export const CommonFields = <State extends {readonly name: string; readonly days: string}>({
  state,
  change,
  example,
}: {
  readonly state: State;
  readonly change: (state: State) => void;
  readonly example: string;
}): ReactNode => (
  <>
    <label>
      Name
      <input
        type="text"
        required
        maxLength={64}
        placeholder={example}
        value={state.name}
        onChange={(event) => change({...state, name: event.target.value})}
      />
    </label>
    <label>
      Works for
      <select value={state.days} onChange={(event) => change({...state, days: event.target.value})}>
        {LIFETIMES.map(([days, label]) => (
          <option key={days} value={days}>
            {label}
          </option>
        ))}
      </select>
    </label>
  </>
);

export const TokenForm = <K extends keyof TokenWishes>({
  kind,
  state,
  wishOf,
  onMade,
  children,
}: {
  readonly kind: K;
  /** What is filled in: while it stays, it is the same call. */
  readonly state: {readonly name: string};
  readonly wishOf: (nowMs: number) => TokenWishes[K];
  readonly onMade: (made: MadeToken) => void;
  readonly children: ReactNode;
}): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const change = useSignedChange();
  const now = useNow();
  const call = useRef({of: state, key: ''});
  const make = useMutation({
    mutationFn: () => {
      if (call.current.of !== state || call.current.key === '') call.current = {of: state, key: newCallKey()};
      const {key} = call.current;
      return change((csrfToken) => api.makeToken(kind, wishOf(now), key, csrfToken));
    },
    onSuccess: onMade,
    // One that failed may have made it all the same.
    onSettled: () => void queries.invalidateQueries({queryKey: ['tokens', kind]}),
  });
  const submit = useRef<HTMLButtonElement>(null);
  const lostId = make.error instanceof ApiError ? make.error.madeId : undefined;
  return (
    <form
      className="token-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!make.isPending) make.mutate();
      }}
    >
      {children}
      <button ref={submit} type="submit" className="button button-primary" aria-disabled={make.isPending}>
        {make.isPending ? 'Making…' : 'Make token'}
      </button>
      {make.isError ? (
        <p className="field-error" role="alert">
          {lostId === undefined
            ? make.error.message
            : 'It was made before, but the answer that had it did not come here. Nobody sees it again: revoke it, then make another.'}
        </p>
      ) : null}
      {lostId === undefined ? null : (
        <Revoke
          kind={kind}
          id={lostId}
          name={visibleName(state.name, lostId)}
          consequence="Nobody has it."
          onRevoked={() => {
            call.current = {of: state, key: ''};
            make.reset();
            submit.current?.focus();
          }}
        />
      )}
    </form>
  );
};

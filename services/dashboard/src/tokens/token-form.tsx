import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import type {TokenWishes} from '../api/client.ts';
import type {MadeToken} from '../api/types.ts';
import {useSignedChange} from '../session/use-signed-change.ts';

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

/** Names a call, so that a button pressed again after a lost answer makes no second token. */
const newCallKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

export const TokenForm = <K extends keyof TokenWishes>({
  kind,
  state,
  wishOf,
  onMade,
  children,
}: {
  readonly kind: K;
  /** What is filled in: while it stays, it is the same call. */
  readonly state: object;
  readonly wishOf: (nowMs: number) => TokenWishes[K];
  readonly onMade: (made: MadeToken) => void;
  readonly children: ReactNode;
}): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const change = useSignedChange();
  const call = useRef({of: state, key: ''});
  const make = useMutation({
    mutationFn: () => {
      if (call.current.of !== state || call.current.key === '') call.current = {of: state, key: newCallKey()};
      const {key} = call.current;
      return change((csrfToken) => api.makeToken(kind, wishOf(Date.now()), key, csrfToken));
    },
    onSuccess: (made) => {
      onMade(made);
      void queries.invalidateQueries({queryKey: ['tokens', kind]});
    },
  });
  return (
    <form
      className="token-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!make.isPending) make.mutate();
      }}
    >
      {children}
      <button type="submit" className="button button-primary" aria-disabled={make.isPending}>
        {make.isPending ? 'Making…' : 'Make token'}
      </button>
      {make.isError ? (
        <p className="field-error" role="alert">
          {make.error.message}
        </p>
      ) : null}
    </form>
  );
};

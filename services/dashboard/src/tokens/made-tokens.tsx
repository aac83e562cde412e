import {createContext, type ReactNode, useContext, useEffect, useMemo, useState} from 'react';
import type {TokenLists} from '../api/client.ts';
import type {MadeToken} from '../api/types.ts';

type Kind = keyof TokenLists;

interface MadeTokens {
  readonly made: Readonly<Partial<Record<Kind, MadeToken | null>>>;
  readonly keep: (kind: Kind, made: MadeToken | null) => void;
}

const MadeTokensContext = createContext<MadeTokens | null>(null);

/** Has the tokens that were just made, for the only time, until the person is done with them. They outlive the page that made them. */
export const MadeTokensProvider = ({children}: {readonly children: ReactNode}): ReactNode => {
  const [made, setMade] = useState<MadeTokens['made']>({});
  const isHeld = Object.values(made).some((one) => one !== null);
  useEffect(() => {
    if (!isHeld) return;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isHeld]);
  const value = useMemo(
    () => ({made, keep: (kind: Kind, one: MadeToken | null) => setMade((before) => ({...before, [kind]: one}))}),
    [made],
  );
  return <MadeTokensContext value={value}>{children}</MadeTokensContext>;
};

export const useMadeToken = (kind: Kind): readonly [MadeToken | null, (made: MadeToken | null) => void] => {
  const tokens = useContext(MadeTokensContext);
  if (tokens === null) throw new Error('No MadeTokensProvider above this component: app.tsx provides it.');
  return [tokens.made[kind] ?? null, (made) => tokens.keep(kind, made)];
};

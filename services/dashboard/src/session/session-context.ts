import {createContext, useContext} from 'react';
import type {Session} from '../api/types.ts';

export const SessionContext = createContext<Session | null>(null);

/** Who is signed in. Only below the sign-in gate. */
export const useSession = (): Session => {
  const session = useContext(SessionContext);
  if (session === null) throw new Error('No SessionContext above this component: app.tsx provides it after sign-in.');
  return session;
};

/** Roles that may look at what administrators make. */
export const mayAudit = (session: Session): boolean => session.role === 'auditor' || mayAdminister(session);

export const mayAdminister = (session: Session): boolean => session.role === 'admin';

/** Roles that may make devices do something. */
export const mayOperate = (session: Session): boolean => session.role === 'operator' || session.role === 'admin';

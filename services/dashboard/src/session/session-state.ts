import type {Session} from '../api/types.ts';

export const SESSION_KEY = ['session'] as const;

export interface SessionState {
  /** Who is signed in, or was until the session ended. Null: nobody. */
  readonly who: Session | null;
  /** It ended without a sign-out. */
  readonly hasEnded: boolean;
  /** Another tab signed in as somebody else than this one showed. */
  readonly isTakenOver: boolean;
}

export const NOBODY: SessionState = {who: null, hasEnded: false, isTakenOver: false};

/** The same for all sessions of one person, who may do the same in each. */
export const personOf = ({id, name, role, groups}: Session): string => JSON.stringify([id, name, role, groups]);

/** What an answer of the server (null: nobody) makes of what was known before. */
export const nextSession = (before: SessionState | undefined, answer: Session | null): SessionState => {
  const {who, hasEnded, isTakenOver} = before ?? NOBODY;
  if (answer === null) return who === null ? NOBODY : {who, hasEnded: true, isTakenOver};
  const isSame = who === null || personOf(who) === personOf(answer);
  return {who: answer, hasEnded: false, isTakenOver: isSame ? isTakenOver : !hasEnded};
};

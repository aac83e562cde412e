import type {Session} from '../api/types.ts';

export const SESSION_KEY = ['session'] as const;

/** Who is signed in; null where nobody was, `ended` where somebody was and is no more, without having signed out. */
export type SessionState = Session | 'ended' | null;

/** What an answer of the server (null: nobody) makes of what was known before. */
export const nextSession = (before: SessionState | undefined, answer: Session | null): SessionState => {
  if (answer !== null) return answer;
  return before === undefined || before === null ? null : 'ended';
};

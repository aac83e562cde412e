/**
 * Whether a shard answers, as this process sees it from its own attempts. A fault of some milliseconds (a slot that is fenced,
 * a primary that hands over) is waited out; after `patienceMs` without an answer the shard is away.
 */
export interface Presence {
  answered(): void;
  /** @param beganAtMs when the attempt began that failed: one that hung has waited already. */
  failed(beganAtMs: number, reason: string): void;
  /** Nobody should wait for it. */
  isAway(): boolean;
}

export type PresenceChange = 'back' | 'doubtful' | 'away';

export interface PresenceOptions {
  readonly patienceMs: number;
  /** Without a failure for so long, away is old news: something may be tried again. */
  readonly forgetAfterMs: number;
  readonly now: () => number;
  /** Called once per change. */
  readonly onChange: (change: PresenceChange, reason: string) => void;
}

type State =
  | {readonly kind: 'present'; readonly answeredAtMs: number}
  | {readonly kind: 'doubtful'; readonly sinceMs: number}
  | {readonly kind: 'away'; readonly failedAtMs: number};

export const createPresence = ({patienceMs, forgetAfterMs, now, onChange}: PresenceOptions): Presence => {
  let state: State = {kind: 'present', answeredAtMs: -Infinity};

  const answered = (reason: string): void => {
    const wasAway = state.kind === 'away';
    state = {kind: 'present', answeredAtMs: now()};
    if (wasAway) onChange('back', reason);
  };

  return {
    answered: () => answered('it answered'),
    failed(beganAtMs, reason) {
      const atMs = now();
      if (state.kind === 'present') {
        // One connection may hang while others are answered; what was answered since it began counts.
        state = {kind: 'doubtful', sinceMs: Math.max(beganAtMs, state.answeredAtMs)};
        onChange('doubtful', reason);
      }
      if (state.kind === 'doubtful' && atMs - state.sinceMs < patienceMs) return;
      const isNews = state.kind !== 'away';
      state = {kind: 'away', failedAtMs: atMs};
      if (isNews) onChange('away', reason);
    },
    isAway() {
      if (state.kind !== 'away') return false;
      if (now() - state.failedAtMs < forgetAfterMs) return true;
      answered(`nothing was tried for ${forgetAfterMs} ms`);
      return false;
    },
  };
};

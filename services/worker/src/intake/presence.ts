/**
 * Whether a shard answers, as this process sees it from its own attempts. A fault of some milliseconds (a slot that is fenced,
 * a primary that hands over) is waited out; after `patienceMs` without an answer the shard is away, until it answers sooner than that.
 */
export interface Presence {
  /** @param beganAtMs when the attempt began. */
  answered(beganAtMs: number): void;
  /**
   * @param beganAtMs when the attempt began that failed: one that hung has waited already
   * @param isSlow it let this attempt wait and answers others: the first such may be due to its connection alone
   */
  failed(beganAtMs: number, reason: string, isSlow?: boolean): void;
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
  /** `atMs`: of the last failure, or of the last answer that came too late to be waited for by others. */
  | {readonly kind: 'away'; readonly atMs: number};

export const createPresence = ({patienceMs, forgetAfterMs, now, onChange}: PresenceOptions): Presence => {
  let state: State = {kind: 'present', answeredAtMs: -Infinity};

  const isPresent = (reason: string): void => {
    const wasAway = state.kind === 'away';
    state = {kind: 'present', answeredAtMs: now()};
    if (wasAway) onChange('back', reason);
  };

  return {
    answered(beganAtMs) {
      const atMs = now();
      if (state.kind === 'away' && atMs - beganAtMs >= patienceMs) state = {kind: 'away', atMs};
      else isPresent('it answered');
    },
    failed(beganAtMs, reason, isSlow = false) {
      const atMs = now();
      if (state.kind === 'present') {
        // One connection may hang while others are answered; what was answered since it began counts.
        state = {kind: 'doubtful', sinceMs: Math.max(beganAtMs, state.answeredAtMs)};
        onChange('doubtful', reason);
        if (isSlow) return;
      }
      if (state.kind === 'doubtful' && atMs - state.sinceMs < patienceMs) return;
      const isNews = state.kind !== 'away';
      state = {kind: 'away', atMs};
      if (isNews) onChange('away', reason);
    },
    isAway() {
      if (state.kind !== 'away') return false;
      if (now() - state.atMs < forgetAfterMs) return true;
      isPresent(`nothing was tried for ${forgetAfterMs} ms`);
      return false;
    },
  };
};

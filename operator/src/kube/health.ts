import {type Clock} from './clock.ts';
import {type Obstacle} from './reflector.ts';

const BEAT_MS = 1_000;
/** A loop that is late by this much does not serve watches and leases any more. */
const LONGEST_LAG_MS = 5_000;

/** `remarks`: what is not as it should be, and no reason to say no. */
export type Verdict =
  | {readonly ok: true; readonly remarks?: readonly string[]}
  | {readonly ok: false; readonly problems: readonly string[]};

/** What one process looks after: all namespaces together, or each of those that it was given. */
export interface Scope {
  readonly obstacles: readonly ({readonly label: string} & Pick<Obstacle, 'isRefused' | 'message'>)[];
  readonly remarks?: readonly string[];
}

/** Measures how late the event loop runs its timers, and calls `onBeat` once a second for what else grows with time alone. */
export class LagProbe {
  readonly #clock: Clock;
  readonly #onBeat: () => void;
  #dueMs = Infinity;
  #lastLagMs = 0;
  #cancel: () => void = () => undefined;

  constructor(clock: Clock, onBeat: () => void = () => undefined) {
    this.#clock = clock;
    this.#onBeat = onBeat;
  }

  /** Its timer keeps the process alive until {@link stop}. */
  start(): void {
    this.#dueMs = this.#clock.monotonicMs() + BEAT_MS;
    this.#schedule();
  }

  lagMs(): number {
    return Math.max(this.#lastLagMs, this.#clock.monotonicMs() - this.#dueMs);
  }

  stop(): void {
    this.#cancel();
  }

  #schedule(): void {
    this.#cancel = this.#clock.schedule(BEAT_MS, () => {
      this.#lastLagMs = Math.max(0, this.#clock.monotonicMs() - this.#dueMs);
      this.#dueMs = this.#clock.monotonicMs() + BEAT_MS;
      this.#schedule();
      this.#onBeat();
    });
  }
}

/** Live: the event loop keeps up and no pass hangs. Checks nothing outside of the process. */
export const liveness = (lagMs: number, longestPassMs: number, passDeadlineMs: number): Verdict =>
  verdict([
    ...(lagMs >= LONGEST_LAG_MS ? [`the event loop is ${Math.round(lagMs)} ms late`] : []),
    ...(longestPassMs >= 2 * passDeadlineMs ? [`a pass has been running for ${Math.round(longestPassMs)} ms`] : []),
  ]);

/**
 * Ready, as leader and as standby: it sees something to look after, and nothing else is still to come. A namespace that the server refuses is left alone and
 * named; were it a reason to be unready, who takes a right away in one namespace would stop the next update for all.
 */
export const readiness = (scopes: readonly Scope[]): Verdict => {
  const isReady =
    scopes.some(({obstacles}) => obstacles.length === 0) &&
    scopes.every(({obstacles}) => obstacles.length === 0 || obstacles.some(({isRefused}) => isRefused));
  const lines = scopes.flatMap(({obstacles}) => obstacles.map(({label, message}) => `${label}: ${message}`));
  if (!isReady) return {ok: false, problems: lines};
  const remarks = [...lines, ...scopes.flatMap((scope) => scope.remarks ?? [])];
  return remarks.length === 0 ? {ok: true} : {ok: true, remarks};
};

const verdict = (problems: readonly string[]): Verdict => (problems.length === 0 ? {ok: true} : {ok: false, problems});

import {type Clock} from './clock.ts';

const BEAT_MS = 1_000;
/** A loop that is late by this much does not serve watches and leases any more. */
const LONGEST_LAG_MS = 5_000;

export type Verdict = {readonly ok: true} | {readonly ok: false; readonly problems: readonly string[]};

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

/** Ready: every watched kind was listed once, by leader and standby alike. */
export const readiness = (unsynced: readonly string[]): Verdict =>
  verdict(unsynced.map((kind) => `${kind} is not listed yet`));

const verdict = (problems: readonly string[]): Verdict => (problems.length === 0 ? {ok: true} : {ok: false, problems});

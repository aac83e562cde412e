import {type Clock} from '../clock.ts';

/** A clock that a test turns by hand. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #timers: {readonly dueMs: number; readonly run: () => void}[] = [];

  now(): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const timer = {dueMs: this.#nowMs + delayMs, run};
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  /** Runs timers in order of time, with room for promises in between. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      await settled();
      const next = this.#timers.filter(({dueMs}) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
    }
    this.#nowMs = untilMs;
    await settled();
  }

  /** Time passes, but no timer runs: what a process sees that was stopped. */
  freeze(forMs: number): void {
    this.#nowMs += forMs;
  }
}

/** One turn of the event loop: every promise that can go on does. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

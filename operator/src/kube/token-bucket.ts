/** `burst` at once, then one every `refillMs`: for what is right now and then and wrong all the time. */
export class TokenBucket {
  readonly #burst: number;
  readonly #refillMs: number;
  #tokens: number;
  #filledMs: number;

  constructor(options: {readonly burst: number; readonly refillMs: number}, nowMs: number) {
    this.#burst = options.burst;
    this.#refillMs = options.refillMs;
    this.#tokens = options.burst;
    this.#filledMs = nowMs;
  }

  /** Whether one is left. `nowMs` never goes backwards. */
  has(nowMs: number): boolean {
    const refilled = Math.floor((nowMs - this.#filledMs) / this.#refillMs);
    if (refilled > 0) {
      this.#tokens = Math.min(this.#burst, this.#tokens + refilled);
      this.#filledMs += refilled * this.#refillMs;
    }
    return this.#tokens > 0;
  }

  /** False while there is none left. */
  take(nowMs: number): boolean {
    if (!this.has(nowMs)) return false;
    this.#tokens--;
    return true;
  }
}

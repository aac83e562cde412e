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

  /** False while there is none left. `nowMs` never goes backwards. */
  take(nowMs: number): boolean {
    const refilled = Math.floor((nowMs - this.#filledMs) / this.#refillMs);
    if (refilled > 0) {
      this.#tokens = Math.min(this.#burst, this.#tokens + refilled);
      this.#filledMs += refilled * this.#refillMs;
    }
    if (this.#tokens <= 0) return false;
    this.#tokens--;
    return true;
  }
}

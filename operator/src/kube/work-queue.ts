import {backoffDelayMs, type BackoffPolicy} from './backoff.ts';
import {type Clock} from './clock.ts';
import {type KubeMetrics} from './metrics.ts';

/** `high`: somebody edited the resource and waits. `normal`: something of it changed. `low`: start-up and resync. */
export type Priority = 'high' | 'normal' | 'low';

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

/** 5 ms doubled 18 times is about 16 minutes; the delays of client-go's default limiter. */
const BACKOFF: BackoffPolicy = {firstMs: 5, longestMs: 16 * 60_000, jitter: 0};

/** After this a key that is not urgent has waited for long. */
const LONG_WAIT_MS = 5_000;

/**
 * Keys that wait for a worker. A key is in it at most once, and never handed out while a worker has it: if it is added
 * meanwhile it comes again after `done` (the "dirty" and "processing" sets of client-go's workqueue).
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #metrics: KubeMetrics;
  readonly #labels: {readonly name: string; readonly controller: string};
  readonly #waiting: Readonly<Record<Priority, Map<string, number>>> = {
    high: new Map(),
    normal: new Map(),
    low: new Map(),
  };
  /** Added while a worker has the key. */
  readonly #dirty = new Map<string, Priority>();
  readonly #processing = new Map<string, number>();
  readonly #timers = new Map<string, {readonly dueMs: number; readonly cancel: () => void}>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #drained: (() => void)[] = [];
  /** The last key that was handed out went before one that had waited for long. */
  #passedOver = false;
  #closed = false;

  constructor(name: string, clock: Clock, metrics: KubeMetrics) {
    this.#clock = clock;
    this.#metrics = metrics;
    this.#labels = {name, controller: name};
  }

  add(key: string, priority: Priority): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      this.#dirty.set(key, higher(priority, this.#dirty.get(key)));
      return;
    }
    const known = PRIORITIES.find((candidate) => this.#waiting[candidate].has(key));
    if (known !== undefined && higher(known, priority) === known) return;
    const sinceMs = known === undefined ? this.#clock.monotonicMs() : (this.#waiting[known].get(key) ?? 0);
    if (known === undefined) this.#metrics.queueAdds.inc(this.#labels);
    else this.#waiting[known].delete(key);
    this.#waiting[priority].set(key, sinceMs);
    this.#serve();
  }

  /** The earliest of several delays counts; taking the key cancels what remains. */
  addAfter(key: string, delayMs: number, priority: Priority): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key, priority);
      return;
    }
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const known = this.#timers.get(key);
    if (known !== undefined && known.dueMs <= dueMs) return;
    known?.cancel();
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#timers.delete(key);
      this.add(key, priority);
    });
    this.#timers.set(key, {dueMs, cancel});
  }

  /** Adds the key after a delay that doubles with every call until {@link forget}. Answers the delay. */
  addWithBackoff(key: string, priority: Priority, atLeastMs = 0): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#metrics.queueRetries.inc(this.#labels);
    const delayMs = Math.max(atLeastMs, backoffDelayMs(BACKOFF, failures, 0));
    this.addAfter(key, delayMs, priority);
    return delayMs;
  }

  /** The key went well: its next failure is the first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, the most urgent first, in order of arrival among equals, unless another has waited for long; `undefined` once the queue is closed. */
  take(): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#serve();
    });
  }

  /** Must follow every `take`. */
  done(key: string): void {
    const startedMs = this.#processing.get(key);
    if (startedMs === undefined) return;
    this.#processing.delete(key);
    this.#metrics.workSeconds.observe(this.#labels, (this.#clock.monotonicMs() - startedMs) / 1000);
    const priority = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (priority !== undefined) this.add(key, priority);
    if (this.#closed && this.#processing.size === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Milliseconds for which the oldest pass has been running; 0 when none is. */
  longestRunningMs(): number {
    const now = this.#clock.monotonicMs();
    return Math.max(0, ...[...this.#processing.values()].map((startedMs) => now - startedMs));
  }

  /** Brings the metrics up to date that change without a key being added or taken. */
  sample(): void {
    for (const priority of PRIORITIES) {
      this.#metrics.queueDepth.set({...this.#labels, priority}, this.#waiting[priority].size);
    }
    this.#metrics.longestRunningSeconds.set(this.#labels, this.longestRunningMs() / 1000);
  }

  /** Hands out nothing any more and resolves when the last worker is done. */
  close(): Promise<void> {
    this.#closed = true;
    for (const {cancel} of this.#timers.values()) cancel();
    this.#timers.clear();
    for (const priority of PRIORITIES) this.#waiting[priority].clear();
    this.sample();
    for (const resolve of this.#takers.splice(0)) resolve(undefined);
    if (this.#processing.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #serve(): void {
    if (this.#closed) for (const resolve of this.#takers.splice(0)) resolve(undefined);
    while (this.#takers.length > 0) {
      const next = this.#next();
      if (next === undefined) break;
      const {key, priority, sinceMs} = next;
      this.#waiting[priority].delete(key);
      this.#timers.get(key)?.cancel();
      this.#timers.delete(key);
      const now = this.#clock.monotonicMs();
      this.#processing.set(key, now);
      this.#metrics.queueSeconds.observe(this.#labels, (now - sinceMs) / 1000);
      this.#takers.shift()?.(key);
    }
    this.sample();
  }

  /** The most urgent key; but who has waited for long gets every other turn, so that nobody is kept out by those who are urgent all the time. */
  #next(): Waiting | undefined {
    const heads = PRIORITIES.flatMap((priority): Waiting[] => {
      const [first] = this.#waiting[priority];
      return first === undefined ? [] : [{key: first[0], priority, sinceMs: first[1]}];
    });
    const [urgent] = heads;
    const [oldest] = heads.toSorted((a, b) => a.sinceMs - b.sinceMs);
    if (urgent === undefined || oldest === undefined) return undefined;
    const isPassedOver = oldest !== urgent && this.#clock.monotonicMs() - oldest.sinceMs >= LONG_WAIT_MS;
    const isItsTurn = isPassedOver && this.#passedOver;
    this.#passedOver = isPassedOver && !isItsTurn;
    return isItsTurn ? oldest : urgent;
  }
}

interface Waiting {
  readonly key: string;
  readonly priority: Priority;
  readonly sinceMs: number;
}

const higher = (a: Priority, b: Priority | undefined): Priority =>
  b === undefined || PRIORITIES.indexOf(a) <= PRIORITIES.indexOf(b) ? a : b;

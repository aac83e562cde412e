import {backoffDelayMs} from './backoff.ts';
import {type Clock} from './clock.ts';
import {ApiError, messageOf, NotLeader, Wait} from './errors.ts';
import {type Log} from './log.ts';
import {type KubeMetrics} from './metrics.ts';
import {type PassResult} from './pass.ts';
import {type WorkQueue} from './work-queue.ts';

export interface LoopOptions {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly workers: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: KubeMetrics;
  readonly log: Log;
  /** Looks at one key; undefined when there is nothing to be done about it until it is added again. `isOverdue`: should it end in a {@link Wait} once more, that is to be said. */
  readonly pass: (
    key: string,
    deadline: AbortSignal,
    signal: AbortSignal,
    isOverdue: boolean,
  ) => Promise<PassResult | undefined>;
}

/** After this the writes of a pass are given up and its status is written. */
export const PASS_DEADLINE_MS = 120_000;
/** Everything is looked at again this often, in case an event was missed or the world outside of watches changed. */
const RESYNC_MS = 600_000;
/** A refusal (quota, conflict) is often lifted by somebody who waits for us to notice. */
const REFUSED_RETRY_MS = 20_000;
/** A {@link Wait} that follows upon another one doubles up to here: a watch that shows what is waited for wakes the key anyway. */
const LONGEST_WAIT_MS = REFUSED_RETRY_MS;
/** So many in a row are nothing to tell of. With CHANGED_RETRY_MS they last for three seconds, and no watch that works is that far behind. */
const WAITS_UNTOLD = 4;
/** What an overloaded server (or whoever answers for it) asks for is heeded up to here. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** A renewal is tried every two seconds. */
const UNRENEWED_RETRY_MS = 1_000;

/** Runs workers until the signal aborts, then waits for the passes under way. */
export const runLoop = async (options: LoopOptions, signal: AbortSignal): Promise<void> => {
  const {queue, workers, metrics, name} = options;
  const known: Known = {refusals: new Refusals(), waits: new Map()};
  metrics.maxWorkers.set({controller: name}, workers);
  const running = Array.from({length: workers}, async () => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        await work(key, options, known, signal);
      } finally {
        queue.done(key);
      }
    }
  });
  const close = (): void => void queue.close();
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, {once: true});
  await Promise.all(running);
};

/** A refusal lasts until somebody acts, and every change nearby leads to a pass that meets it again: it is logged once. */
class Refusals {
  readonly #known = new Map<string, string>();

  /** Whether these are others than those of the key's last pass. */
  news(key: string, problems: readonly string[]): boolean {
    const text = problems.join('\n');
    const isNew = this.#known.get(key) !== text;
    this.#known.set(key, text);
    return isNew;
  }

  over(key: string): void {
    this.#known.delete(key);
  }
}

interface Known {
  readonly refusals: Refusals;
  /** By key: how many passes in a row ended in a {@link Wait}. */
  readonly waits: Map<string, number>;
}

const work = async (key: string, options: LoopOptions, known: Known, signal: AbortSignal): Promise<void> => {
  const {refusals, waits} = known;
  const waited = waits.get(key) ?? 0;
  waits.delete(key);
  const {queue, clock, metrics, log, name, random} = options;
  const labels = {controller: name};
  const startedMs = clock.monotonicMs();
  metrics.activeWorkers.inc(labels);
  const deadline = new AbortController();
  const cancel = clock.schedule(PASS_DEADLINE_MS, () => deadline.abort(new Error('the pass ran out of time')));
  // 0.8..1.2 of the interval: keys that were added together drift apart.
  const resyncMs = RESYNC_MS * (0.8 + 0.4 * random());
  let result = 'success';
  try {
    const ends = AbortSignal.any([deadline.signal, signal]);
    const passed = await options.pass(key, ends, signal, waited >= WAITS_UNTOLD);
    if (passed === undefined) {
      queue.forget(key);
      refusals.over(key);
      return;
    }
    result = RESULTS[passed.kind];
    const nextMs = passed.next.kind === 'after' ? Math.min(resyncMs, passed.next.delayMs) : resyncMs;
    settle(key, passed, nextMs, options, refusals);
  } catch (error) {
    result = signal.aborted || error instanceof NotLeader ? 'cancelled' : resultOf(error);
    if (signal.aborted) return;
    const retryAfterMs = error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS) : 0;
    if (error instanceof Wait) {
      waits.set(key, waited + 1);
      const policy = {firstMs: error.delayMs, longestMs: Math.max(error.delayMs, LONGEST_WAIT_MS), jitter: 0};
      queue.addAfter(key, backoffDelayMs(policy, waited + 1, 0), 'normal');
      const problems = [error.message];
      if (waited >= WAITS_UNTOLD && refusals.news(key, problems)) log.warn({key, problems}, 'waits again and again');
    } else if (error instanceof NotLeader) {
      // One slow renewal of the lease: the term may go on, and if it does not, the queue is closed with it.
      queue.addAfter(key, UNRENEWED_RETRY_MS, 'normal');
    } else {
      const delayMs = queue.addWithBackoff(key, 'normal', retryAfterMs);
      queue.addAfter(key, resyncMs, 'low');
      const stack = error instanceof Error && !(error instanceof ApiError) ? {stack: error.stack} : {};
      log.error({key, delayMs, error: messageOf(error), ...stack}, 'pass failed');
    }
  } finally {
    cancel();
    metrics.activeWorkers.dec(labels);
    metrics.passes.inc({...labels, result});
    if (result === 'error') metrics.passErrors.inc(labels);
    metrics.passSeconds.observe(labels, (clock.monotonicMs() - startedMs) / 1000);
  }
};

const settle = (
  key: string,
  passed: PassResult,
  nextMs: number,
  {queue, log}: LoopOptions,
  refusals: Refusals,
): void => {
  switch (passed.kind) {
    case 'quiet':
      queue.forget(key);
      queue.addAfter(key, nextMs, 'low');
      if (passed.problems.length === 0) refusals.over(key);
      else if (refusals.news(key, passed.problems)) log.warn({key, ...told(passed.problems)}, 'not as it was sent');
      return;
    case 'changed':
      // Again, to see the effect; with backoff, in case every pass finds something to write.
      queue.addAfter(key, nextMs, 'normal');
      queue.addWithBackoff(key, 'normal');
      return;
    case 'refused':
      queue.forget(key);
      queue.addAfter(key, Math.min(nextMs, REFUSED_RETRY_MS), 'low');
      if (refusals.news(key, passed.problems)) log.warn({key, ...told(passed.problems)}, 'refused');
      return;
    case 'unseen':
      queue.forget(key);
      queue.addAfter(key, nextMs, 'low');
      if (passed.problems.length > 0 && refusals.news(key, passed.problems))
        log.warn({key, ...told(passed.problems)}, 'not worked on');
      return;
    case 'failed':
      queue.addWithBackoff(key, 'normal', Math.min(passed.retryAfterMs, LONGEST_RETRY_AFTER_MS));
      queue.addAfter(key, nextMs, 'normal');
      log.warn({key, ...told(passed.problems)}, 'pass incomplete');
      return;
  }
};

/** More are seldom of another kind. */
const PROBLEMS_TOLD = 10;

const told = (problems: readonly string[]): {readonly problems: readonly string[]; readonly more?: number} => {
  const more = problems.length - PROBLEMS_TOLD;
  return {problems: problems.slice(0, PROBLEMS_TOLD), ...(more > 0 ? {more} : {})};
};

/** Those of controller-runtime, and one of our own: no such pass may look like one that went well. */
const RESULTS: Readonly<Record<PassResult['kind'], string>> = {
  quiet: 'success',
  changed: 'success',
  refused: 'error',
  failed: 'error',
  unseen: 'unseen',
};

const resultOf = (error: unknown): string => (error instanceof Wait ? 'requeue_after' : 'error');

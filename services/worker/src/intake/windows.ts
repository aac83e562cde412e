import {type Timers} from '@pisync/core/lifecycle/timers';

/**
 * Collects what arrives into windows: at most so many records or so long, urgent things first, at most so many windows at
 * work at once. While one is at work the next is being collected.
 */
export interface Windows<T> {
  add(item: T, urgent: boolean): void;
  /** Hands out what is left and resolves when nothing is at work any more. */
  drain(): Promise<void>;
}

export interface WindowsOptions<T> {
  /** What an item counts towards `maxWeight`. */
  readonly weightOf: (item: T) => number;
  readonly maxWeight: number;
  readonly maxWaitMs: number;
  readonly concurrency: number;
  readonly after: Timers['after'];
  /** Must not reject. */
  readonly process: (items: readonly T[]) => Promise<void>;
}

export const createWindows = <T>(options: WindowsOptions<T>): Windows<T> => {
  const {weightOf, maxWeight, maxWaitMs, concurrency, after, process} = options;
  const waiting = {urgent: [] as T[], normal: [] as T[]};
  let weight = 0;
  let busy = 0;
  /** Set from the first item of a window until it is due. */
  let cancel: (() => void) | undefined;
  let due = false;
  let onIdle: (() => void) | undefined;

  const size = (): number => waiting.urgent.length + waiting.normal.length;

  const take = (): readonly T[] => {
    const taken: T[] = [];
    let sum = 0;
    for (const lane of [waiting.urgent, waiting.normal]) {
      let count = 0;
      for (const item of lane) {
        // One item is always taken, however heavy.
        if (taken.length > 0 && sum + weightOf(item) > maxWeight) break;
        taken.push(item);
        sum += weightOf(item);
        count += 1;
      }
      lane.splice(0, count);
    }
    weight -= sum;
    return taken;
  };

  const pump = (): void => {
    while (busy < concurrency && size() > 0 && (due || weight >= maxWeight)) {
      const items = take();
      busy += 1;
      if (size() === 0) reset();
      void process(items).finally(() => {
        busy -= 1;
        pump();
      });
    }
    if (size() > 0 && !due && cancel === undefined) {
      cancel = after(maxWaitMs, () => {
        due = true;
        pump();
      });
    }
    if (busy === 0 && size() === 0) onIdle?.();
  };

  const reset = (): void => {
    cancel?.();
    cancel = undefined;
    due = false;
  };

  return {
    add(item, urgent) {
      (urgent ? waiting.urgent : waiting.normal).push(item);
      weight += weightOf(item);
      pump();
    },
    drain() {
      return new Promise((resolve) => {
        onIdle = resolve;
        due = true;
        pump();
      });
    },
  };
};

/**
 * Time that passes when nothing is left to do now. Every wait of the simulated world stands in one queue; what is due at the same moment comes in the order
 * in which it was asked for. So a run is a function of its seed.
 */
export interface Scheduler {
  /** Milliseconds since the world began. */
  readonly now: () => number;
  /** @returns what takes it back */
  after(ms: number, run: () => void): () => void;
  /** Lets the world go on until `isDone`, checked after each event, or until nothing is due before `untilMs`. */
  run(untilMs: number, isDone?: () => boolean): Promise<void>;
  /** Events so far. */
  events(): number;
}

interface Due {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const isBefore = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export const createScheduler = (): Scheduler => {
  /** A binary heap. */
  const heap: Due[] = [];
  let nowMs = 0;
  let order = 0;
  let events = 0;

  const push = (due: Due): void => {
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(due, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  };

  const pop = (): Due | undefined => {
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const below = isRight ? right : left;
      if (below === undefined || !isBefore(below, last)) break;
      heap[at] = below;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  };

  return {
    now: () => nowMs,
    after(ms, run) {
      const due: Due = {atMs: nowMs + Math.max(0, ms), order: order++, run};
      push(due);
      return () => {
        due.run = undefined;
      };
    },
    async run(untilMs, isDone = () => false) {
      for (let [next] = heap; next !== undefined && next.atMs <= untilMs; [next] = heap) {
        pop();
        if (next.run === undefined) continue;
        nowMs = next.atMs;
        events += 1;
        next.run();
        // After every promise that this has settled, and those that follow from them. Nobody else has macrotasks.
        await new Promise((resolve) => setImmediate(resolve));
        if (isDone()) return;
      }
    },
    events: () => events,
  };
};

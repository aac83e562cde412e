/** The server's time as the reader's clock and the server's answers give it: what happened when is said by the server's clock. */
export interface ServerClock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** An answer came. @param date its `Date` header */
  readonly note: (date: string | null) => void;
  /** Calls after each change of the difference. @returns how to end that */
  readonly watch: (changed: () => void) => () => void;
}

/** `Date` has whole seconds, and an answer takes its time: what differs by less is not a difference of clocks. */
const TOLERANCE_MS = 3_000;

/** @param local the reader's clock */
export const createServerClock = (local: () => number): ServerClock => {
  let aheadMs = 0;
  const watchers = new Set<() => void>();
  return {
    now: () => local() + aheadMs,
    note: (date) => {
      const differenceMs = Date.parse(date ?? '') - local();
      if (Number.isNaN(differenceMs) || Math.abs(differenceMs - aheadMs) <= TOLERANCE_MS) return;
      aheadMs = Math.abs(differenceMs) <= TOLERANCE_MS ? 0 : differenceMs;
      for (const changed of watchers) changed();
    },
    watch: (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
  };
};

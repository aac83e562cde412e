/** A map of bounded size whose entries expire: what was not used for longest goes first. */
export interface Lru<T> {
  get(key: string): T | undefined;
  set(key: string, value: T, ttlMs: number): void;
  delete(key: string): void;
}

/** @param now monotonic milliseconds */
export const createLru = <T>(maxEntries: number, now: () => number): Lru<T> => {
  // A Map keeps the order of insertion; an entry that is used moves to the end.
  const entries = new Map<string, {readonly value: T; readonly expiresAt: number}>();
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      if (entry.expiresAt <= now()) return undefined;
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, ttlMs) {
      entries.delete(key);
      entries.set(key, {value, expiresAt: now() + ttlMs});
      if (entries.size <= maxEntries) return;
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
    },
    delete(key) {
      entries.delete(key);
    },
  };
};

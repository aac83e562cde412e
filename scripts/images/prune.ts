/** A file or folder of a cache. `usedMs` is when it was last made or asked for, in milliseconds since the epoch. */
export interface CacheEntry {
  readonly name: string;
  readonly usedMs: number;
}

/** How many versions of one image stay: going back to the last branch or two costs nothing. */
const KEPT = 3;

/** The entries `<name>-<hash>[.tar]`, the hash being 12 or 16 hex digits, that are older than the newest {@link KEPT} of their name. Others are not ours to judge. */
export function superseded(entries: readonly CacheEntry[]): readonly CacheEntry[] {
  const byName = new Map<string, CacheEntry[]>();
  for (const entry of entries) {
    const name = /^(.+)-(?:[0-9a-f]{12}|[0-9a-f]{16})(?:\.tar)?$/.exec(entry.name)?.[1];
    if (name !== undefined) byName.set(name, [...(byName.get(name) ?? []), entry]);
  }
  return [...byName.values()].flatMap((versions) =>
    versions.toSorted((one, other) => other.usedMs - one.usedMs).slice(KEPT),
  );
}

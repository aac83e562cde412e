/** The list's filters read the same counts as the summary, so both use one cache entry. */
export const SUMMARY_QUERY_KEY = ['summary'] as const;

const REFETCH_MS = 30_000;
const SOON_MS = 3_000;
/** The server counts again when it is asked for a count older than this, and answers with the old one meanwhile. */
const COUNTED_AGAIN_AFTER_SECONDS = 15;

/** When to ask again: soon where the answer was an old count, as a new one is on its way. */
export const summaryRefetchMs = (ageSeconds: number | undefined): number =>
  ageSeconds !== undefined && ageSeconds > COUNTED_AGAIN_AFTER_SECONDS ? SOON_MS : REFETCH_MS;

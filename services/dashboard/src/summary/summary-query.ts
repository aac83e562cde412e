/** The list's filters read the same counts as the summary, so both use one cache entry. */
export const SUMMARY_QUERY_KEY = ['summary'] as const;

/** The server counts every five minutes; asking more often than it counts only notices the new count sooner. */
export const SUMMARY_REFETCH_MS = 30_000;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * How long ago (or ahead) a moment is, short enough for a table cell: `now`, `42 s ago`, `5 min ago`, `3 h ago`, `in 2 d`.
 * A few seconds in the future count as now: the server's clock is not the reader's, and the page's own ticks only now and then.
 */
export const relativeTime = (momentMs: number, nowMs: number): string => {
  const distance = Math.abs(nowMs - momentMs);
  if (distance < 5 * SECOND_MS || (momentMs > nowMs && distance < 15 * SECOND_MS)) return 'now';
  const amount =
    distance < MINUTE_MS
      ? `${Math.floor(distance / SECOND_MS)} s`
      : distance < HOUR_MS
        ? `${Math.floor(distance / MINUTE_MS)} min`
        : distance < 2 * DAY_MS
          ? `${Math.floor(distance / HOUR_MS)} h`
          : `${Math.floor(distance / DAY_MS)} d`;
  return momentMs <= nowMs ? `${amount} ago` : `in ${amount}`;
};

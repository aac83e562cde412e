/** What strangers can bring about must not fill the log. @returns how many lines were left out since the last one, or undefined for one that is to be left out */
export type LineQuota = () => number | undefined;

const MINUTE_MS = 60_000;

/** @param now monotonic milliseconds */
export const createLineQuota = (perMinute: number, now: () => number): LineQuota => {
  let [beganAt, written, leftOut] = [now(), 0, 0];
  return () => {
    if (now() - beganAt >= MINUTE_MS) [beganAt, written] = [now(), 0];
    if (written === perMinute) {
      leftOut += 1;
      return undefined;
    }
    written += 1;
    const before = leftOut;
    leftOut = 0;
    return before;
  };
};

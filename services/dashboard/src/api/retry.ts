import {ApiError, isFinal} from './client.ts';

/** When a view asks again by itself. Never before the time that the server said (`Retry-After`): what comes before it is refused as well. */

/** How long a view that could show nothing waits before it tries again. */
const RETRY_MS = 10_000;
const TRIES = 3;
/** Who waits longer than this is told why. */
const SILENT_MS = 5_000;

const waitMs = (error: Error | null): number => (error instanceof ApiError ? error.retryAfterMs : 0);

/** Whether a failed call is made again before the view says that it failed. */
export const isRetried = (failures: number, error: Error): boolean =>
  !isFinal(error) && failures < TRIES && waitMs(error) <= SILENT_MS;

export const retryDelayMs = (failures: number, error: Error): number => Math.max(1000 * 2 ** failures, waitMs(error));

/** Of a view that asks again every so often. @returns when it does after this error */
export const refetchMs = (usualMs: number, error: Error | null): number => Math.max(usualMs, waitMs(error));

/** The same of a view that asks as long as it is shown. @returns false where the session ended: after a sign-in all is read again */
export const pollMs = (usualMs: number, error: Error | null): number | false =>
  error instanceof ApiError && error.status === 401 ? false : refetchMs(usualMs, error);

/** Of a view that asks once. @returns false for never */
export const retryMs = (hasData: boolean, error: Error | null): number | false =>
  hasData || error === null || isFinal(error) ? false : refetchMs(RETRY_MS, error);

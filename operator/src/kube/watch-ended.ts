import {ApiError} from './errors.ts';

/** Why a watch ended. */
type EndReason = 'expired' | 'error-event' | 'closed' | 'late' | 'short' | 'idle' | 'cut' | 'refused';

/** Ends after which no watch goes on from where the last one was. */
export const LISTS_AFTER: ReadonlySet<EndReason> = new Set<EndReason>(['expired', 'late', 'error-event', 'idle']);

/** Ends that say nothing against the server. */
export const AT_ONCE: ReadonlySet<EndReason> = new Set<EndReason>(['expired', 'late']);

export class WatchEnded extends Error {
  readonly reason: EndReason;

  constructor(reason: EndReason, message: string, cause?: unknown) {
    super(message, {cause});
    this.reason = reason;
  }
}

export const reasonOf = (error: unknown): EndReason => {
  if (error instanceof WatchEnded) return error.reason;
  if (error instanceof ApiError) return error.status === 410 ? 'expired' : 'refused';
  return 'cut';
};

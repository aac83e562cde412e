import {ApiError, messageOf, NotLeader, oneLine} from '../kube/errors.ts';

/** What came of reading something that is not watched. One that fails concerns what needs it and nothing else. */
export type Reading<T> = {readonly kind: 'known'; readonly value: T} | {readonly kind: 'unknown'; readonly why: string};

export const known = <T>(value: T): Reading<T> => ({kind: 'known', value});

/** @throws only when the pass is over. */
export const attempt = async <T>(read: () => Promise<T>, signal: AbortSignal): Promise<Reading<T>> => {
  try {
    return known(await read());
  } catch (error) {
    if (error instanceof NotLeader || signal.aborted) throw error;
    return {kind: 'unknown', why: oneLine(error instanceof ApiError ? error.said : messageOf(error))};
  }
};

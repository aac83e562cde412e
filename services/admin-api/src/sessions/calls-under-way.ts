import {AppError} from '@pisync/core/errors/app-error';

/** The calls that a token has under way in this process. What a minute allows would otherwise come all at once, and everybody else wait for connections. */
export interface CallsUnderWay {
  /** @returns what ends the call. @throws AppError `rate-limited` */
  enter(key: string): () => void;
}

/** @param most of one token; a page of the dashboard has some six, and several people may share one */
export const createCallsUnderWay = (most: number): CallsUnderWay => {
  const counts = new Map<string, number>();
  return {
    enter(key) {
      const count = (counts.get(key) ?? 0) + 1;
      if (count > most) {
        throw new AppError('rate-limited', `More than ${most} calls at once; wait for some to end.`, {
          retryAfterSeconds: 1,
        });
      }
      counts.set(key, count);
      return () => {
        const left = (counts.get(key) ?? 1) - 1;
        if (left === 0) counts.delete(key);
        else counts.set(key, left);
      };
    },
  };
};

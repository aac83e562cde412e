import {AppError} from '../errors/app-error.ts';

/**
 * Lets through who asks the control schema about somebody whom no cache knows: a person whom nobody remembers, or a stranger who guesses. They
 * cannot be told apart before the answer, nor by their address behind a proxy, so together they have a share of the pool, and who is known has the rest.
 * @throws AppError `overloaded` when as many wait as may, or what `ask` threw.
 */
export type Door = <T>(ask: () => Promise<T>) => Promise<T>;

/** Those who come at once after a restart, when nobody is remembered. As many more may wait for answers that others have asked for. */
export const MAX_WAITING = 200;
const RETRY_S = 5;

/** @param connections that the pool may open; half of them are for these callers. An answer takes a millisecond or two, so each is for some hundreds a second. */
export const createDoor = (connections: number): Door => {
  const atOnce = Math.max(1, connections >> 1);
  let busy = 0;
  const waiting: (() => void)[] = [];
  return async (ask) => {
    if (busy < atOnce) busy += 1;
    else if (waiting.length < MAX_WAITING) await new Promise<void>((resolve) => waiting.push(resolve));
    else {
      throw new AppError('overloaded', 'too many callers who are not known yet; come back later', {
        retryAfterSeconds: RETRY_S,
      });
    }
    try {
      return await ask();
    } finally {
      // Whoever is next takes the place over.
      const next = waiting.shift();
      if (next === undefined) busy -= 1;
      else next();
    }
  };
};

import {AppError} from '../errors/app-error.ts';

const RETRY_S = 5;

/**
 * Runs `load` once for all that ask for the same key while it runs; nothing is kept afterwards.
 *
 * @param maxJoined how many may wait for what others began, whatever the key; the next one is rejected as `overloaded`. Whoever may be asked by
 * strangers bounds it: a load that hangs keeps all that join it.
 */
export const createSingleFlight = <T>(maxJoined = Infinity): ((key: string, load: () => Promise<T>) => Promise<T>) => {
  const flights = new Map<string, Promise<T>>();
  let joined = 0;
  return async (key, load) => {
    const known = flights.get(key);
    if (known === undefined) {
      const flight = load().finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    }
    if (joined >= maxJoined) {
      throw new AppError('overloaded', 'too many callers ask for the same; come back later', {
        retryAfterSeconds: RETRY_S,
      });
    }
    joined += 1;
    try {
      return await known;
    } finally {
      joined -= 1;
    }
  };
};

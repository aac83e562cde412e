import {AppError} from '@pisync/core/errors/app-error';

/**
 * Asks a shard about somebody whom no cache knows: a device whose credential nobody remembers, or a stranger who guesses. They cannot be told
 * apart before the answer, so together they have a share of the pool, and enrolments and devices that are known have the rest.
 * @throws AppError `overloaded` when as many wait as may, or what `ask` threw.
 */
export type LookUp = <T>(shardId: number, ask: () => Promise<T>) => Promise<T>;

/** Of the eight connections that the pool may open. A look-up takes a millisecond or two, so this is some thousand a second. */
const AT_ONCE = 4;
/** Those who come at once after a restart, with Redis empty. */
const WAITING = 200;
const RETRY_S = 5;

export const createLookUp = (): LookUp => {
  const doors = new Map<number, {busy: number; readonly waiting: (() => void)[]}>();

  return async (shardId, ask) => {
    const door = doors.get(shardId) ?? {busy: 0, waiting: []};
    doors.set(shardId, door);
    if (door.busy < AT_ONCE) door.busy += 1;
    else if (door.waiting.length < WAITING) await new Promise<void>((resolve) => door.waiting.push(resolve));
    else {
      throw new AppError('overloaded', 'too many callers who are not known yet; come back later', {
        retryAfterSeconds: RETRY_S,
      });
    }
    try {
      return await ask();
    } finally {
      // Whoever is next takes the place over.
      const next = door.waiting.shift();
      if (next === undefined) door.busy -= 1;
      else next();
    }
  };
};

import {AppError} from '../errors/app-error.ts';

/** Asks one question of which many fit one statement. @throws AppError `overloaded` when as many wait as may, or what `ask` threw. */
export type Ask<T> = (key: string) => Promise<T | undefined>;

export interface GatherOptions<T> {
  /** @returns what was found, by key; a promise where a key takes longer or fails by itself */
  readonly askAll: (keys: readonly string[]) => Promise<ReadonlyMap<string, T | Promise<T | undefined>>>;
  readonly atOnce?: number;
}

/** One for the next while another is slow; the pool's other connections are for those whom a cache knows. */
const AT_ONCE = 2;
/** In one statement. It takes some milliseconds then. */
const MOST = 100;
/** Those who come at once after a restart, when nobody is remembered. While a shard hangs each of them keeps a connection. */
const MAX_WAITING = 400;
const RETRY_S = 5;

/**
 * Where strangers are looked up: anybody may name an id, and who is there and who guesses cannot be told apart before the answer. The first questions leave at once,
 * each alone. What comes while as many are under way as may be goes together when one of them is answered, so a flood costs a statement for a hundred of its guesses.
 */
export const createGather = <T>({askAll, atOnce = AT_ONCE}: GatherOptions<T>): Ask<T> => {
  let underWay = 0;
  const waiting: {
    key: string;
    resolve: (found: T | undefined | Promise<T | undefined>) => void;
    reject: (reason: unknown) => void;
  }[] = [];

  const work = async (): Promise<void> => {
    underWay += 1;
    for (let group = waiting.splice(0, MOST); group.length > 0; group = waiting.splice(0, MOST)) {
      try {
        const found = await askAll(group.map(({key}) => key));
        for (const {key, resolve} of group) resolve(found.get(key));
        // Those that take longer have the place until then.
        await Promise.allSettled(found.values());
      } catch (error) {
        for (const {reject} of group) reject(error);
      }
    }
    underWay -= 1;
  };

  return (key) => {
    if (waiting.length >= MAX_WAITING) {
      const message = 'too many callers who are not known yet; come back later';
      return Promise.reject(new AppError('overloaded', message, {retryAfterSeconds: RETRY_S}));
    }
    return new Promise((resolve, reject) => {
      waiting.push({key, resolve, reject});
      if (underWay < atOnce) void work();
    });
  };
};

/** One for each shard. */
export const createGathers = <T>(
  askAll: (shardId: number, keys: readonly string[]) => ReturnType<GatherOptions<T>['askAll']>,
): ((shardId: number) => Ask<T>) => {
  const gathers = new Map<number, Ask<T>>();
  return (shardId) => {
    const gather = gathers.get(shardId) ?? createGather({askAll: (keys) => askAll(shardId, keys)});
    gathers.set(shardId, gather);
    return gather;
  };
};

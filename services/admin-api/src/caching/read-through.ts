import type {z} from 'zod';

/** The cache as far as reading through it needs; every method answers quickly and never fails, whatever the server does. */
export interface CacheStore {
  /** Undefined for what is absent, and for everything while the cache is away. */
  getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  set(key: string, value: string, ttlSeconds: number): Promise<void>;
}

/** What the cache holds under a key, if it has the expected shape: another release may have written it. */
export const parseCached = <S extends z.ZodType>(schema: S, text: string | undefined): z.output<S> | undefined => {
  if (text === undefined) return undefined;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
};

export type SingleFlight = <T>(key: string, load: () => Promise<T>) => Promise<T>;

/** Callers that want the same at the same moment share one load. A key must always load one type. */
export const createSingleFlight = (): SingleFlight => {
  const flights = new Map<string, Promise<unknown>>();
  return <T>(key: string, load: () => Promise<T>): Promise<T> => {
    // The promise under a key was made by a load of this key, which has this type.
    const flying = flights.get(key) as Promise<T> | undefined;
    if (flying !== undefined) return flying;
    const flight = load().finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };
};

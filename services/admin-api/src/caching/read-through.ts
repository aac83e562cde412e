import type {Cache} from '@pisync/core/cache/cache';
import type {z} from 'zod';

/** The cache as far as reading through it needs: while Redis is away it answers undefined, and the shards are asked. */
export type CacheAccess = Pick<Cache, 'use'>;

/** What the cache holds under the key; undefined where it is absent or has not the expected shape: another release may have written it. */
export const readCached = async <S extends z.ZodType>(
  cache: CacheAccess,
  key: string,
  schema: S,
): Promise<z.output<S> | undefined> => {
  // Reads of one turn share a pipeline, so asking for one key at a time costs no round trip.
  const text = await cache.use((redis) => redis.get(key));
  if (text === undefined || text === null) return undefined;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
};

export const writeCached = async (
  cache: CacheAccess,
  key: string,
  value: unknown,
  ttlSeconds: number,
): Promise<void> => {
  await cache.use((redis) => redis.set(key, JSON.stringify(value), 'EX', ttlSeconds));
};

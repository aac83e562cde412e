import {randomUUID} from 'node:crypto';
import {MOST_REASON, type ProbeFact} from '@pisync/contract/facts';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {type Cache} from '@pisync/core/cache/cache';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {AppError, describeError} from '@pisync/core/errors/app-error';

/** Some thousand times what a commit takes, and short enough that a region's trouble is known within half a minute. */
export const PROBE_MS = 5_000;

export const probeFailed = (error: unknown): ProbeFact => ({
  ok: false,
  reason: describeError(error).slice(0, MOST_REASON),
});

/** A connection is made, or made again, within this where there is a broker: a keeper that has just started is no outage. */
const BROKER_PATIENCE_MS = 3_000;
const BROKER_PAUSE_MS = 100;

/**
 * Publishes a message that the next one displaces, and waits for its confirm as long as device-api does.
 *
 * @param sleep resolves after so many milliseconds
 */
export const tryBroker = async (
  publisher: Pick<Publisher, 'publish' | 'trouble'>,
  names: BrokerNames,
  sleep: (ms: number) => Promise<void>,
): Promise<ProbeFact> => {
  for (
    let waitedMs = 0;
    publisher.trouble() !== undefined && waitedMs < BROKER_PATIENCE_MS;
    waitedMs += BROKER_PAUSE_MS
  )
    await sleep(BROKER_PAUSE_MS);
  try {
    // The default exchange takes a queue's name as the routing key.
    await publisher.publish({
      exchange: '',
      routingKey: names.probe.queue,
      content: Buffer.alloc(0),
      contentType: 'application/octet-stream',
    });
    return {ok: true};
  } catch (error) {
    return probeFailed(error);
  }
};

/**
 * The cache gives an answer 50 ms, and a second of rest after some that were late: one such moment is no outage. Nor is a keeper that has just started and
 * has no connection yet, on a machine that is busy replacing pods: seven seconds.
 */
const CACHE_TRIES = 12;
const CACHE_PAUSE_MS = 600;
const CACHE_KEY_SECONDS = 60;

/** @param sleep resolves after so many milliseconds */
export const tryCache = async (
  cache: Pick<Cache, 'use' | 'trouble'>,
  name: string,
  sleep: (ms: number) => Promise<void>,
): Promise<ProbeFact> => {
  const key = cacheKey.probe(name);
  for (let attempt = 1; attempt <= CACHE_TRIES; attempt++) {
    const value = randomUUID();
    const found = await cache.use(async (redis) => {
      await redis.set(key, value, 'EX', CACHE_KEY_SECONDS);
      return redis.get(key);
    });
    if (found === value) return {ok: true};
    if (attempt < CACHE_TRIES) await sleep(CACHE_PAUSE_MS);
  }
  return probeFailed(new AppError('unavailable', cache.trouble() ?? 'a key that was written could not be read back'));
};

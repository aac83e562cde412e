import {Redis} from 'ioredis';
import {Counter, type Registry} from 'prom-client';
import type {Endpoint} from '@pisync/contract/topology';
import {describeError} from '../errors/app-error.ts';
import {systemTimers} from '../lifecycle/timers.ts';
import type {Logger} from '../telemetry/logger.ts';
import {createBreaker} from './breaker.ts';
import {withLoopTimeout} from './loop-timeout.ts';

/** Redis that may be absent: every answer can be `undefined`, and then the caller asks the shard. */
export interface Cache {
  /** The result of `work`, or undefined when Redis is down, slow or refused. Commands of one turn share a pipeline. */
  use<T>(work: (redis: Redis) => Promise<T>): Promise<T | undefined>;
  /** Why the last use that was made was not answered, or undefined. */
  trouble(): string | undefined;
  /** Calls `listener` for each message, as long as the process lives. Messages sent while the connection is down are missed. */
  subscribe(channel: string, listener: (message: string) => void): void;
  close(): Promise<void>;
}

/** A connection, or a pipeline that the caller sends. */
export interface SetCommands<R> {
  set(key: string, value: string, unit: 'EX', seconds: number): R;
}

export interface CacheOptions {
  readonly endpoint: Endpoint;
  /** Asked before each connection. */
  readonly password: () => Promise<string | undefined>;
  readonly log: Logger;
  readonly registry: Registry;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Redis on the same network answers in under 1 ms; what takes longer is better asked elsewhere. How late this process is does not count. */
const COMMAND_TIMEOUT_MS = 50;
/**
 * A connection that is still open so long after its close is destroyed. ioredis waits for this time also where the connection was
 * down already, and its default of 2 s would keep a process from ending.
 */
const DISCONNECT_TIMEOUT_MS = 100;
/**
 * A connection that owes an answer for so long is given up. One to a node that lost power ends with no word, and the kernel would
 * go on sending into it for a quarter of an hour, while a new Redis has long taken the old one's place.
 */
const SILENCE_TIMEOUT_MS = 3_000;
/**
 * Who only listens asks nothing and would never notice that no answer comes. So it says again so often what it listens to. That
 * mends a SUBSCRIBE that failed, and shows a Redis that is gone within 5 s, which are these two and the three above. Keep-alive of
 * the kernel takes 40 s, and a Redis that hangs is alive to it.
 */
const LISTEN_AGAIN_EVERY_MS = 2_000;
/** What was late together counts once, so an absence is known after three such moments: 150 ms. One pause of Redis alone, to save or to fork, is shorter than two. */
const BREAKER = {threshold: 3, pauseMs: 1000} as const;

/** Opens without waiting: a process starts and serves without Redis. */
export const openCache = async ({endpoint, password, log, registry, now}: CacheOptions): Promise<Cache> => {
  const timers = {...systemTimers, now};
  const breaker = createBreaker({...BREAKER, now});
  const outcomes = new Counter({
    name: 'pisync_cache_uses_total',
    help: 'Uses of Redis by outcome; skipped while the breaker is open',
    labelNames: ['outcome'] as const,
    registers: [registry],
  });

  const followPassword = (redis: Redis): void => {
    redis.on('close', () => {
      // The next attempt, which is at least 100 ms away, uses what the file says by then.
      password().then(
        (next) => {
          if (next !== undefined) redis.options.password = next;
        },
        () => undefined,
      );
    });
  };

  /** Why there is no connection for commands; empty while there is one. */
  let lastReason = '';
  let trouble: string | undefined;

  const open = (first: string | undefined): Redis => {
    const redis = new Redis({
      host: endpoint.host,
      port: endpoint.port,
      ...(first === undefined ? {} : {password: first}),
      connectTimeout: 2000,
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_TIMEOUT_MS,
      enableAutoPipelining: true,
      // A command must fail now rather than wait for a connection.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt) => Math.min(100 * attempt, 2000),
      lazyConnect: true,
    });
    redis.on('error', (error: unknown) => {
      const reason = describeError(error);
      // Once a reason, not once an attempt.
      if (reason !== lastReason) log.warn({reason}, 'the cache has a problem; shards are asked instead');
      lastReason = reason;
    });
    redis.on('ready', () => {
      lastReason = '';
    });
    followPassword(redis);
    redis.connect().catch(() => undefined);
    return redis;
  };

  const commands = open(await password().catch(() => undefined));
  let subscriber: Redis | undefined;
  let listeningAgain: NodeJS.Timeout | undefined;
  const listeners = new Map<string, ((message: string) => void)[]>();

  const openSubscriber = (): Redis => {
    const opened = commands.duplicate({
      lazyConnect: true,
      // It counts time for which the loop was held up, and with the connection the messages of that time would be lost.
      socketTimeout: undefined,
      // Nobody can handle the rejection of that SUBSCRIBE, and one that is not handled ends the process.
      autoResubscribe: false,
    });
    followPassword(opened);
    opened.on('error', () => undefined);
    opened.on('message', (from: string, message: string) => {
      for (const each of listeners.get(from) ?? []) each(message);
    });
    opened.on('ready', () => {
      // If it fails it is said again soon.
      opened.subscribe(...listeners.keys()).catch(() => undefined);
    });
    opened.connect().catch(() => undefined);
    listeningAgain = setInterval(() => {
      withLoopTimeout(opened.subscribe(...listeners.keys()), {ms: SILENCE_TIMEOUT_MS, timers}).catch(() => {
        // In any other state it is on its way to a new connection.
        if (opened.status === 'ready' || opened.status === 'connect') opened.disconnect(true);
      });
    }, LISTEN_AGAIN_EVERY_MS);
    return opened;
  };

  return {
    async use(work) {
      const attempt = breaker.begin();
      if (attempt === undefined) {
        outcomes.inc({outcome: 'skipped'});
        return undefined;
      }
      try {
        const result = await withLoopTimeout(work(commands), {ms: COMMAND_TIMEOUT_MS, timers});
        attempt.succeeded();
        trouble = undefined;
        outcomes.inc({outcome: 'ok'});
        return result;
      } catch (error) {
        attempt.failed();
        // Without a connection every command fails in the same words, which do not say why there is none.
        trouble = lastReason === '' ? describeError(error) : lastReason;
        outcomes.inc({outcome: 'failed'});
        return undefined;
      }
    },
    trouble: () => trouble,
    subscribe(channel, listener) {
      listeners.set(channel, [...(listeners.get(channel) ?? []), listener]);
      if (subscriber === undefined) {
        subscriber = openSubscriber();
      } else if (subscriber.status === 'ready') {
        subscriber.subscribe(channel).catch(() => undefined);
      }
    },
    close() {
      clearInterval(listeningAgain);
      subscriber?.disconnect();
      commands.disconnect();
      registry.removeSingleMetric('pisync_cache_uses_total');
      return Promise.resolve();
    },
  };
};

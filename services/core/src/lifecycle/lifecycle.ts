import {setTimeout as delay} from 'node:timers/promises';
import {AppError, describeError} from '../errors/app-error.ts';

/** The little of a logger that stopping needs. */
interface StopLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

interface Owned {
  readonly name: string;
  readonly stop: () => void | Promise<void>;
}

/**
 * What a process has opened, in order. It is closed in the opposite order, so that nothing loses what it stands on:
 * the HTTP server (opened last) stops taking requests while the broker and the pools still work.
 */
export interface Lifecycle {
  /** Aborts when the stop begins; readiness turns off with it. */
  readonly stopping: AbortSignal;
  /** Opens a resource and remembers how to close it. Nothing new may be opened once the stop has begun. */
  own<T>(name: string, start: () => T | Promise<T>, stop: (resource: T) => void | Promise<void>): Promise<T>;
  /**
   * Closes everything, last opened first, after `drainMs` in which `stopping` is already set but all still works.
   * The same promise for every caller. True when all closed in time and without error.
   */
  stop(drainMs?: number): Promise<boolean>;
}

export interface LifecycleOptions {
  readonly log: StopLog;
  /** For the whole stop; a resource that hangs cannot keep the ones below it from being closed. */
  readonly timeoutMs: number;
  readonly now: () => number;
}

export const createLifecycle = ({log, timeoutMs, now}: LifecycleOptions): Lifecycle => {
  const owned: Owned[] = [];
  const stopping = new AbortController();
  let stopped: Promise<boolean> | undefined;

  const stopAll = async (): Promise<boolean> => {
    const deadline = now() + timeoutMs;
    let clean = true;
    for (let left = owned.pop(); left !== undefined; left = owned.pop()) {
      const {name, stop} = left;
      const began = now();
      // Those further down always get a share, also when one above has used up the time.
      const budgetMs = Math.max((deadline - began) / 2, 50);
      try {
        await withTimeout(
          Promise.resolve().then(stop),
          budgetMs,
          `${name} did not stop within ${Math.round(budgetMs)} ms`,
        );
        log.info({resource: name, ms: Math.round(now() - began)}, 'stopped');
      } catch (error) {
        clean = false;
        log.error({resource: name, reason: describeError(error)}, 'did not stop cleanly');
      }
    }
    return clean;
  };

  return {
    stopping: stopping.signal,
    async own(name, start, stop) {
      if (stopping.signal.aborted) throw new AppError('unavailable', `${name} was not opened: the process is stopping`);
      let resource;
      try {
        resource = await start();
      } catch (error) {
        throw new AppError('internal', `cannot open ${name}`, {cause: error});
      }
      // The stop may have begun while this was being opened; then nobody else will close it.
      if (stopped !== undefined) {
        await stop(resource);
        throw new AppError('unavailable', `${name} was closed again: the process is stopping`);
      }
      owned.push({name, stop: () => stop(resource)});
      return resource;
    },
    stop(drainMs = 0) {
      stopping.abort();
      stopped ??= drainMs > 0 ? delay(drainMs).then(stopAll) : stopAll();
      return stopped;
    },
  };
};

/** The promise's outcome, or a rejection with `message` after `ms`. The work itself is not cancelled. */
export const withTimeout = async <T>(work: Promise<T>, ms: number, message: string): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AppError('unavailable', message)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

import {Worker} from 'node:worker_threads';
import {AppError} from '@pisync/core/errors/app-error';
import type {Read} from './body-thread.ts';
import {parseSyncBody, type SyncBody} from './sync-body.ts';

/** Reads bodies of sync calls; large ones beside the event loop, which goes on meanwhile. */
export interface BodyReader {
  /** @throws what {@link parseSyncBody} throws, or an AppError `overloaded` when no thread started for it, or the thread ended over it. */
  read(payload: Buffer): Promise<SyncBody>;
  close(): Promise<void>;
}

/**
 * A megabyte of JSON can take a quarter of a second to read, and all other calls would wait. This much takes eight milliseconds at the most, and is more than ten
 * times what a device usually sends.
 */
export const READ_AT_ONCE_BYTES = 32 * 1024;
/**
 * More than twice what the worst megabyte needs: a heap that is full while JSON is parsed ends the whole process. A small young generation, because nothing of a
 * body outlives the next one. Together the worst bodies take 70 MiB of memory.
 */
const HEAP = {maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128} as const;
/** Seconds. */
const RETRY_S = 5;

interface Waiting {
  readonly payload: Buffer;
  readonly resolve: (body: SyncBody) => void;
  readonly reject: (error: Error) => void;
}

/** @param thread address of body-thread.ts, or of what it was bundled to. It starts with the first large body. */
export const createBodyReader = (thread: URL): BodyReader => {
  /** The first one is being read. The thread has one at a time: what it was sent it holds as well. */
  let waiting: Waiting[] = [];
  let worker: Worker | undefined;

  const refuseAll = (cause: unknown): void => {
    const given = waiting;
    waiting = [];
    for (const {reject} of given) {
      reject(
        new AppError('overloaded', 'the body could not be read; come back later', {cause, retryAfterSeconds: RETRY_S}),
      );
    }
  };

  const askForNext = (): void => {
    const [next] = waiting;
    if (next === undefined) return;
    try {
      worker ??= start();
    } catch (error) {
      // The system may have no thread to give. The next body tries again.
      refuseAll(error);
      return;
    }
    worker.postMessage(next.payload);
  };

  const answer = (read: Read): void => {
    const done = waiting.shift();
    askForNext();
    switch (read.kind) {
      case 'body':
        done?.resolve(read.body);
        return;
      case 'refused':
        done?.reject(new AppError(read.code, read.message, {errors: read.errors, extra: read.extra}));
        return;
      case 'failed':
        done?.reject(new Error(`a body could not be read: ${read.reason}`));
    }
  };

  const start = (): Worker => {
    // The flags of a process are not all for a thread.
    const started = new Worker(thread, {execArgv: [], resourceLimits: HEAP});
    started.unref();
    let cause: unknown = 'it was stopped';
    started.on('message', answer);
    // Followed by `exit`.
    started.on('error', (error: unknown) => {
      cause = error;
    });
    started.on('exit', () => {
      worker = undefined;
      refuseAll(cause);
    });
    return started;
  };

  return {
    async read(payload) {
      if (payload.length <= READ_AT_ONCE_BYTES) return parseSyncBody(payload);
      const {promise, resolve, reject} = Promise.withResolvers<SyncBody>();
      waiting.push({payload, resolve, reject});
      if (waiting.length === 1) askForNext();
      return promise;
    },
    async close() {
      await worker?.terminate();
    },
  };
};

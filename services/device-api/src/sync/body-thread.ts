/** Reads the bodies that it is sent, one after the other, on a thread of its own. */
import {parentPort} from 'node:worker_threads';
import {AppError, describeError, type ErrorCode, type Fault} from '@pisync/core/errors/app-error';
import {parseSyncBody, type SyncBody} from './sync-body.ts';

/** What came of a body, as it passes between threads: an error keeps no more of its class than this. */
export type Read =
  | {readonly kind: 'body'; readonly body: SyncBody}
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      readonly message: string;
      readonly errors: readonly Fault[];
      readonly extra: Readonly<Record<string, unknown>>;
    }
  | {readonly kind: 'failed'; readonly reason: string};

const read = (bytes: Uint8Array): Read => {
  try {
    return {kind: 'body', body: parseSyncBody(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))};
  } catch (error) {
    if (!(error instanceof AppError)) return {kind: 'failed', reason: describeError(error)};
    const {code, message, errors, extra} = error;
    return {kind: 'refused', code, message, errors, extra};
  }
};

// Only what body-reader.ts sends comes here.
parentPort?.on('message', (bytes: Uint8Array) => parentPort?.postMessage(read(bytes)));

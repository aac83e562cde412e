import {AppError} from '@pisync/core/errors/app-error';

/** Of the others one is soon answered. */
const RETRY_SECONDS = 3;

/** For who found no connection to a shard that answers others: it is said of this process, and nothing of the shard. */
export const tooManyReaders = (cause: unknown): AppError =>
  new AppError('overloaded', 'Too many read what a shard of this holds; come back later.', {
    cause,
    retryAfterSeconds: RETRY_SECONDS,
  });

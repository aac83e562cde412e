import {AppError} from '@pisync/core/errors/app-error';
import {isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';

/** Seconds. A shard that restarts is back within a minute; the spread of Retry-After does the rest. */
export const SHARD_RETRY_S = 15;

/** A database that is away becomes a 503 with a time to come back; its own message stays in the log. */
export const fromShard = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    if (!isSystemicDatabaseFault(error)) throw error;
    throw new AppError('shard-unavailable', 'the device database does not answer at the moment; come back later', {
      cause: error,
      retryAfterSeconds: SHARD_RETRY_S,
    });
  }
};

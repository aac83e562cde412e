import {AppError} from '@pisync/core/errors/app-error';
import {isPoolFull, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import type {ErrorRequestHandler} from 'express';

/** A Postgres pod restarts within some seconds. */
const RETRY_SECONDS = 3;

/** For who found no connection to a shard that answers others: it is said of this process, and nothing of the shard. */
export const tooManyReaders = (cause: unknown): AppError =>
  new AppError('overloaded', 'Too many read what a shard of this holds; come back later.', {
    cause,
    retryAfterSeconds: RETRY_SECONDS,
  });

/** A database that is away, or that has as many readers as this process lets have it, is no fault of this process: the caller is told to come back. */
export const shardFaults: ErrorRequestHandler = (thrown: unknown, _request, _response, next) => {
  if (!isSystemicDatabaseFault(thrown)) next(thrown);
  else if (isPoolFull(thrown)) next(tooManyReaders(thrown));
  else {
    next(
      new AppError('shard-unavailable', 'The shard that holds this does not answer; try again.', {
        cause: thrown,
        retryAfterSeconds: RETRY_SECONDS,
      }),
    );
  }
};

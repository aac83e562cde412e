import {AppError} from '@pisync/core/errors/app-error';
import {isPoolFull, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import type {ErrorRequestHandler} from 'express';

/** A Postgres pod restarts within some seconds. */
const RETRY_SECONDS = 3;

/** A database that is away, or that has as many readers as this process lets have it, is no fault of this process: the caller is told to come back. */
export const shardFaults: ErrorRequestHandler = (thrown: unknown, _request, _response, next) => {
  if (!isSystemicDatabaseFault(thrown)) {
    next(thrown);
    return;
  }
  const more = {cause: thrown, retryAfterSeconds: RETRY_SECONDS};
  next(
    isPoolFull(thrown)
      ? new AppError('overloaded', 'Too many read what the shard of this holds; come back later.', more)
      : new AppError('shard-unavailable', 'The shard that holds this does not answer; try again.', more),
  );
};

import {AppError} from '@pisync/core/errors/app-error';
import {isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import type {ErrorRequestHandler} from 'express';

/** A Postgres pod restarts within some seconds. */
const RETRY_SECONDS = 3;

/** A database that is away is no fault of this process: the caller is told to come back. */
export const shardFaults: ErrorRequestHandler = (thrown: unknown, _request, _response, next) => {
  next(
    isSystemicDatabaseFault(thrown)
      ? new AppError('shard-unavailable', 'The shard that holds this does not answer; try again.', {
          cause: thrown,
          retryAfterSeconds: RETRY_SECONDS,
        })
      : thrown,
  );
};

import {AppError} from '@pisync/core/errors/app-error';
import {isPoolFull, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import type {ErrorRequestHandler} from 'express';
import {tooManyReaders} from '../paging/too-many-readers.ts';

/** A Postgres pod restarts within some seconds. */
const RETRY_SECONDS = 3;

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

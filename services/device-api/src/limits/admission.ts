import {AppError} from '@pisync/core/errors/app-error';

/** The state that decides whether one more batch can be taken now. */
export interface Load {
  /** Why the broker would refuse at once, or undefined. */
  readonly brokerTrouble: string | undefined;
  /** Batches that await their confirm. */
  readonly openBatches: number;
  readonly lagMs: number;
}

export interface AdmissionLimits {
  readonly maxOpenBatches: number;
  readonly maxLagMs: number;
}

/** Seconds. A broker takes about that long to restart; overload passes sooner. */
const BROKER_RETRY_S = 15;
const OVERLOAD_RETRY_S = 5;

/**
 * Turns work away while that is still cheap: before the body is read.
 * @throws AppError `broker-unavailable` or `overloaded`.
 */
export const admit = (load: Load, limits: AdmissionLimits): void => {
  if (load.brokerTrouble !== undefined) {
    throw new AppError('broker-unavailable', 'batches cannot be stored at the moment; come back later', {
      retryAfterSeconds: BROKER_RETRY_S,
      cause: load.brokerTrouble,
    });
  }
  if (load.openBatches >= limits.maxOpenBatches || load.lagMs > limits.maxLagMs) {
    throw new AppError('overloaded', 'too many devices at once; come back later', {
      retryAfterSeconds: OVERLOAD_RETRY_S,
      cause: `${load.openBatches} batches open, lag ${Math.round(load.lagMs)} ms`,
    });
  }
};

import type {IncomingMessage} from 'node:http';
import {AppError} from '@pisync/core/errors/app-error';
import {BODY_LIMITS} from '../policy.ts';

/** The calls that this process has taken on, and whether it takes one more. */
export interface Admission {
  /**
   * Turns a call away while that is still cheap: before its body is read.
   * @returns what is to be called, once, when the call is answered.
   * @throws AppError `broker-unavailable` or `overloaded`.
   */
  enter(request: Pick<IncomingMessage, 'headers'>, needs: {readonly broker: boolean}): () => void;
}

export interface AdmissionOptions {
  /** Why the broker would refuse at once, or undefined. */
  readonly brokerTrouble: () => string | undefined;
  /** Event loop lag that lasts. */
  readonly lagMs: () => number;
  readonly limits: AdmissionLimits;
}

export interface AdmissionLimits {
  /** Calls under way; how long a new one would wait follows from it (Little's law), so this is what normally decides. */
  readonly maxOpenBatches: number;
  /** For whatever the count does not show: a neighbour that takes the CPU, a loop that is stuck in something else. */
  readonly maxLagMs: number;
}

/** Seconds. A broker takes about that long to restart; overload passes sooner. */
const BROKER_RETRY_S = 15;
const OVERLOAD_RETRY_S = 5;

/** Inflated bodies of the calls under way: an eighth of a pod's memory limit, because a parsed body takes some times its size. */
const MAX_OPEN_BYTES = 64 * 1024 * 1024;
/** How much a batch usually inflates by. */
const GZIP_RATIO = 8;

export const createAdmission = ({brokerTrouble, lagMs, limits}: AdmissionOptions): Admission => {
  let open = 0;
  let openBytes = 0;
  return {
    enter({headers}, needs) {
      const trouble = needs.broker ? brokerTrouble() : undefined;
      if (trouble !== undefined) {
        throw new AppError('broker-unavailable', 'batches cannot be stored at the moment; come back later', {
          retryAfterSeconds: BROKER_RETRY_S,
          cause: trouble,
        });
      }
      const bytes = expectedBytes(headers);
      // A single call is never too much.
      const full = open >= limits.maxOpenBatches || (open > 0 && openBytes + bytes > MAX_OPEN_BYTES);
      if (full || lagMs() > limits.maxLagMs) {
        throw new AppError('overloaded', 'too many devices at once; come back later', {
          retryAfterSeconds: OVERLOAD_RETRY_S,
          cause: `${open} calls with ${openBytes} bytes under way, lag ${Math.round(lagMs())} ms`,
        });
      }
      open += 1;
      openBytes += bytes;
      return () => {
        open -= 1;
        openBytes -= bytes;
      };
    },
  };
};

const expectedBytes = (headers: IncomingMessage['headers']): number => {
  // Without the header: as much as may come.
  const sent = Number(headers['content-length'] ?? BODY_LIMITS.maxBytes);
  return Math.min(headers['content-encoding'] === 'gzip' ? sent * GZIP_RATIO : sent, BODY_LIMITS.maxInflatedBytes);
};

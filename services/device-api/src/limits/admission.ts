import type {IncomingMessage} from 'node:http';
import {Gauge, type Registry} from 'prom-client';
import {AppError} from '@pisync/core/errors/app-error';
import {BODY_LIMITS} from '../policy.ts';

/** The calls that this process has taken on, and whether it takes one more. */
export interface Admission {
  /**
   * Turns a call away while that is still cheap: before its body is read.
   * @throws AppError `broker-unavailable` or `overloaded`.
   */
  enter(request: Pick<IncomingMessage, 'headers'>, needs: {readonly broker: boolean}): AdmittedCall;
}

export interface AdmittedCall {
  /**
   * Replaces what the headers let expect by what the body inflated to.
   * @throws AppError `overloaded` when that is more and does not fit.
   */
  holds(bytes: number): void;
  /** To be called once, when the call is answered. */
  leave(): void;
}

export interface AdmissionOptions {
  /** Why the broker would refuse at once, or undefined. */
  readonly brokerTrouble: () => string | undefined;
  /** Event loop lag that lasts. */
  readonly lagMs: () => number;
  readonly limits: AdmissionLimits;
  readonly registry: Registry;
}

export interface AdmissionLimits {
  /** Calls under way; how long a new one would wait follows from it (Little's law), so this is what normally decides. */
  readonly maxOpenBatches: number;
  /** Inflated bodies of the calls under way, from before they are read until they are answered. */
  readonly maxOpenBytes: number;
  /** For whatever the count does not show: a neighbour that takes the CPU, a loop that is stuck in something else. */
  readonly maxLagMs: number;
}

/** Seconds. A broker takes about that long to restart; overload passes sooner. */
const BROKER_RETRY_S = 15;
const OVERLOAD_RETRY_S = 5;

/** How much a batch usually inflates by. */
const GZIP_RATIO = 8;

export const createAdmission = ({brokerTrouble, lagMs, limits, registry}: AdmissionOptions): Admission => {
  let open = 0;
  let openBytes = 0;
  new Gauge({
    name: 'pisync_device_api_open_calls',
    help: 'Calls under way, from their admission to their answer',
    registers: [registry],
    collect() {
      this.set(open);
    },
  });
  new Gauge({
    name: 'pisync_device_api_open_bytes',
    help: 'Inflated bodies of the calls under way, as expected from their headers until they are read',
    registers: [registry],
    collect() {
      this.set(openBytes);
    },
  });
  // A single call is never too much.
  const fits = (more: number, others: number): boolean => others === 0 || openBytes + more <= limits.maxOpenBytes;
  const overloaded = (): AppError =>
    new AppError('overloaded', 'too many devices at once; come back later', {
      retryAfterSeconds: OVERLOAD_RETRY_S,
      cause: `${open} calls with ${openBytes} bytes under way, lag ${Math.round(lagMs())} ms`,
    });
  return {
    enter({headers}, needs) {
      const trouble = needs.broker ? brokerTrouble() : undefined;
      if (trouble !== undefined) {
        throw new AppError('broker-unavailable', 'batches cannot be stored at the moment; come back later', {
          retryAfterSeconds: BROKER_RETRY_S,
          cause: trouble,
        });
      }
      let bytes = expectedBytes(headers);
      if (open >= limits.maxOpenBatches || !fits(bytes, open) || lagMs() > limits.maxLagMs) throw overloaded();
      open += 1;
      openBytes += bytes;
      return {
        holds(actual) {
          const more = actual - bytes;
          if (more > 0 && !fits(more, open - 1)) throw overloaded();
          openBytes += more;
          bytes = actual;
        },
        leave() {
          open -= 1;
          openBytes -= bytes;
        },
      };
    },
  };
};

const expectedBytes = (headers: IncomingMessage['headers']): number => {
  // Without the header: as much as may come.
  const sent = Number(headers['content-length'] ?? BODY_LIMITS.maxBytes);
  return Math.min(headers['content-encoding'] === 'gzip' ? sent * GZIP_RATIO : sent, BODY_LIMITS.maxInflatedBytes);
};

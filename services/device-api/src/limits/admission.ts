import {Gauge, type Registry} from 'prom-client';
import {AppError} from '@pisync/core/errors/app-error';
import {createBodyRoom, type HeldBody} from '@pisync/core/http/body-room';

/** The calls that this process has taken on, and whether it takes one more. */
export interface Admission {
  /**
   * Turns a call away while that is still cheap: before its body is read. A call takes no place and no bytes for what it says that it
   * will send, only for what it did send: whoever sends nothing holds nothing.
   * @throws AppError `broker-unavailable` or `overloaded`.
   */
  enter(needs: CallNeeds): AdmittedCall;
}

export interface CallNeeds {
  readonly broker: boolean;
  /** What the caller shows is looked at only after its body came. Together such callers hold no bytes and no places that devices need. */
  readonly stranger: boolean;
}

/** `holds` and `arrived` throw an AppError `overloaded` when there is no room. */
export type AdmittedCall = HeldBody;

export interface AdmissionOptions {
  /** Why the broker would refuse at once, or undefined. */
  readonly brokerTrouble: () => string | undefined;
  /** Event loop lag that lasts. */
  readonly lagMs: () => number;
  readonly limits: AdmissionLimits;
  readonly registry: Registry;
}

export interface AdmissionLimits {
  /** Calls under way whose bodies have come; how long a new one would wait follows from it (Little's law), so this is what normally decides. */
  readonly maxOpenBatches: number;
  /** What bodies take, from their first byte until their calls are answered. */
  readonly maxOpenBytes: number;
  /** For whatever the count does not show: a neighbour that takes the CPU, a loop that is stuck in something else. */
  readonly maxLagMs: number;
}

/** Seconds. A broker takes about that long to restart; overload passes sooner. */
const BROKER_RETRY_S = 15;
const OVERLOAD_RETRY_S = 5;

/** Of the bytes. An enrolment takes some hundred, so this is room for thousands of them. */
const STRANGERS_SHARE = 1 / 8;
/** Of the places: more than may wait for a database that hangs. */
const STRANGERS_PLACES = 1 / 4;
/** An enrolment fits one segment. A device's body may be long and its link slow: it makes room late, and only where there is none. */
const STRANGERS_PATIENCE_MS = 1_000;
const DEVICES_PATIENCE_MS = 10_000;

export const createAdmission = ({brokerTrouble, lagMs, limits, registry}: AdmissionOptions): Admission => {
  let open = 0;
  let openStrangers = 0;
  const maxOpenStrangers = Math.ceil(limits.maxOpenBatches * STRANGERS_PLACES);
  const overloaded = (): AppError =>
    new AppError('overloaded', 'too many devices at once; come back later', {
      retryAfterSeconds: OVERLOAD_RETRY_S,
      cause: `${open} calls and ${openBytes()} bytes under way, lag ${Math.round(lagMs())} ms`,
    });
  const devices = createBodyRoom({
    maxBytes: limits.maxOpenBytes * (1 - STRANGERS_SHARE),
    patienceMs: DEVICES_PATIENCE_MS,
    overloaded,
  });
  const strangers = createBodyRoom({
    maxBytes: limits.maxOpenBytes * STRANGERS_SHARE,
    patienceMs: STRANGERS_PATIENCE_MS,
    overloaded,
  });
  const openBytes = (): number => devices.bytes() + strangers.bytes();
  new Gauge({
    name: 'pisync_device_api_open_calls',
    help: 'Calls under way, from when their body has come to their answer',
    registers: [registry],
    collect() {
      this.set(open);
    },
  });
  new Gauge({
    name: 'pisync_device_api_open_bytes',
    help: 'Bytes that bodies take, from their first one to the answer of their calls',
    registers: [registry],
    collect() {
      this.set(openBytes());
    },
  });
  return {
    enter({broker, stranger}) {
      const trouble = broker ? brokerTrouble() : undefined;
      if (trouble !== undefined) {
        throw new AppError('broker-unavailable', 'batches cannot be stored at the moment; come back later', {
          retryAfterSeconds: BROKER_RETRY_S,
          cause: trouble,
        });
      }
      const room = stranger ? strangers : devices;
      const isTaken = (): boolean => open >= limits.maxOpenBatches || (stranger && openStrangers >= maxOpenStrangers);
      if (isTaken() || room.isFull() || lagMs() > limits.maxLagMs) throw overloaded();
      const body = room.enter();
      let places = 0;
      return {
        ...body,
        arrived() {
          if (isTaken()) throw overloaded();
          body.arrived();
          places = 1;
          open += places;
          if (stranger) openStrangers += places;
        },
        leave() {
          body.leave();
          open -= places;
          if (stranger) openStrangers -= places;
        },
      };
    },
  };
};

import {type Delivery} from '@pisync/core/broker/consumer';
import {AppError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {createApply} from '../apply/apply.ts';
import {type ShardStore} from '../apply/shard-store.ts';
import {createByteGate} from './byte-gate.ts';
import {createLanes, type Lanes, type LanesOptions} from './lanes.ts';
import {type Arrival, openParcel, type Parcel} from './parcel.ts';
import {createPark} from './park.ts';
import {type Keep} from './unreadable.ts';

/** The way of batches through this process: out of their parcels, down the lane of their shard, into it. */
export interface Intake extends Pick<Lanes, 'open' | 'away' | 'drain'> {
  take(delivery: Delivery, arrival: Arrival): void;
  /** When the oldest batch in hand was accepted, or undefined with empty hands. */
  oldestAtMs(): number | undefined;
}

export interface IntakeOptions extends Omit<LanesOptions, 'apply' | 'answers' | 'gates' | 'park'> {
  readonly store: ShardStore;
  readonly timers: Timers;
  readonly keptDays: () => number;
  readonly newId: () => string;
  /** For a message, or an item of one, that nobody can read. Never rejects. */
  readonly keepMessage: Keep;
  /** For a bundle of a newer release, which other workers read. Never rejects. */
  readonly putOff: (delivery: Delivery, error: unknown) => Promise<void>;
}

const isNewer = (error: unknown): boolean => error instanceof AppError && error.code === 'unavailable';

const MIB = 1024 * 1024;
/**
 * Bodies that are read and applied at once. A window takes a tenth of a MiB as a rule, and a MiB at most. Read, a body takes up to ten times its
 * bytes (`1e20,` becomes 22 characters, of two bytes each where one of them is not Latin), and once more on its way into the connection. While it is read, one after the other, it may be
 * forty times as large.
 * Of all shards that answer, and of each of them: one that begins to hang keeps what it has inside for three seconds, and others go on beside it.
 */
const BYTES_AT_WORK = {all: 6 * MIB, each: 1.5 * MIB} as const;
/** Of parked batches. Each may wait for its shard for 16 seconds, so they are among themselves. */
const PARKED_BYTES_AT_WORK = 2 * MIB;

export const createIntake = (options: IntakeOptions): Intake => {
  const inHand = new Set<Parcel>();
  const lanes = createLanes({
    ...options,
    gates: {fresh: createByteGate(BYTES_AT_WORK.all, BYTES_AT_WORK.each), parked: createByteGate(PARKED_BYTES_AT_WORK)},
    answers: (shardId) => options.store.answers(shardId),
    apply: createApply({...options, deadline: options.timers.deadline}),
    park: createPark(options),
  });
  return {
    open: (shardId) => lanes.open(shardId),
    away: lanes.away,
    drain: () => lanes.drain(),
    take(delivery, arrival) {
      let parcel: Parcel;
      try {
        parcel = openParcel(delivery, {...arrival, takenAtMs: options.timers.now()}, (closed) => inHand.delete(closed));
      } catch (error) {
        void (isNewer(error) ? options.putOff(delivery, error) : options.keepMessage(delivery, error));
        return;
      }
      inHand.add(parcel);
      for (const piece of parcel.pieces) lanes.dispatch(piece);
      const {queue, isLost} = delivery;
      for (const {content, reason, close} of parcel.wrong) {
        const item = {queue, content, isLost, ack: () => close('settled'), requeue: () => close('given-back')};
        void options.keepMessage(item, new AppError('invalid', reason));
      }
    },
    oldestAtMs: () => (inHand.size === 0 ? undefined : Math.min(...Array.from(inHand, ({oldestAtMs}) => oldestAtMs))),
  };
};

import {decodeBundle, encodeBundle} from '@pisync/core/broker/bundle';
import {type Delivery} from '@pisync/core/broker/consumer';
import {publishSuspect} from '@pisync/core/broker/retry';
import {AppError} from '@pisync/core/errors/app-error';
import {type Arrival} from './parcel.ts';
import {type Keep, type PutOffOptions, untilConfirmed} from './unreadable.ts';

/**
 * Keeps a batch that ends the process which works on it from ending all of them. What came back often is suspect: each of its batches goes into a queue of its
 * own, from which a worker takes one at a time and works on nothing else meanwhile. What comes back often from there has died alone, and a person gets it.
 */
export interface Suspects {
  /** The way of a delivery from any other queue. */
  take(delivery: Delivery, arrival: Arrival): void;
  /** The way of one from the queue of suspects, of which at most one may be in hand. */
  takeAlone(delivery: Delivery): void;
}

export interface SuspectsOptions extends PutOffOptions {
  readonly keepMessage: Keep;
  readonly take: (delivery: Delivery, arrival: Arrival) => void;
}

/** A restart of the broker and two of the worker are no sign yet. */
const OFTEN = 3;
/** Then it may be the look into the bundle that ends the process. */
const TOO_OFTEN_TO_OPEN = 6;

const partsOf = ({content, returned}: Delivery): readonly Buffer[] => {
  if (returned >= TOO_OFTEN_TO_OPEN) return [content];
  try {
    const {items, wrong} = decodeBundle(content);
    return [...items.map((item) => encodeBundle([item])), ...wrong.map((item) => item.content)];
  } catch {
    return [content];
  }
};

export const createSuspects = (options: SuspectsOptions): Suspects => {
  const {publisher, names, take, keepMessage, log} = options;

  const putApart = (delivery: Delivery): Promise<void> => {
    const {queue, returned, routingKey, attempt} = delivery;
    log.warn({queue, returned}, 'a message came back often, and its batches are worked on alone');
    const parts = partsOf(delivery).map(
      (content) => () => publishSuspect(publisher, names, {routingKey, attempt, content}),
    );
    return untilConfirmed(options, delivery, parts);
  };

  return {
    take(delivery, arrival) {
      if (delivery.returned < OFTEN) take(delivery, arrival);
      else void putApart(delivery);
    },
    takeAlone(delivery) {
      const {returned} = delivery;
      if (returned < OFTEN) take(delivery, {isUrgent: false, isParked: false, isAlone: true});
      else
        void keepMessage(
          delivery,
          new AppError('invalid', `${returned} times a process ended, or lost the broker, with nothing else at work`),
        );
    },
  };
};

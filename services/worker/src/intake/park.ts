import {countOfBundle, DEFAULT_BUNDLE_LIMITS, encodeBundle} from '@pisync/core/broker/bundle';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {publishParked} from '@pisync/core/broker/retry';
import {describeError} from '@pisync/core/errors/app-error';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type WorkerMetrics} from '../metrics.ts';
import {createByteGate} from './byte-gate.ts';
import {type Held} from './held.ts';
import {type Piece} from './parcel.ts';

/**
 * Puts pieces aside on the broker and settles those that it has confirmed. Without a shard they come back after the first
 * rung. @returns those that stay in hand, because the broker does not take them now, or has not confirmed them yet: such a piece is closed when it does. Never rejects.
 */
export type Park = (pieces: readonly Piece[], shardId: number | undefined) => Promise<readonly Piece[]>;

export interface ParkOptions {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly held: Held;
  readonly metrics: Pick<WorkerMetrics, 'batches'>;
  readonly log: Logger;
}

/**
 * Of what is on its way to the broker, in all and of each shard, because each message is a copy of what stays in hand until it is confirmed. Otherwise hands that are full of the largest
 * bundles would take half as much again, and a broker that stopped reading twice as much.
 */
const BYTES_ON_THE_WAY = {all: 8 * 1024 * 1024, each: 2 * 1024 * 1024} as const;
/** Pieces without a shard, among those that have one. */
const NO_SHARD = -1;

export const createPark = ({publisher, names, held, metrics, log}: ParkOptions): Park => {
  let isRefused = false;

  const gate = createByteGate(BYTES_ON_THE_WAY.all, BYTES_ON_THE_WAY.each);

  const publish = async (pieces: readonly Piece[], shardId: number | undefined): Promise<void> => {
    const leave = await gate.enter(
      shardId ?? NO_SHARD,
      pieces.reduce((sum, {item}) => sum + item.payload.length, 0),
    );
    try {
      // The shard may have answered meanwhile, and the broker may have taken some back.
      const left = pieces.filter((piece) => !piece.isClosed() && !piece.delivery.isLost());
      const [first] = left;
      if (first === undefined) return;
      const content = encodeBundle(left.map(({item}) => item));
      await publishParked(publisher, names, {...first.delivery, content}, shardId);
      metrics.batches.inc({outcome: 'parked'}, left.length);
      for (const piece of left) piece.close('settled');
    } finally {
      leave();
    }
  };

  const settle = async (pieces: readonly Piece[], shardId: number | undefined): Promise<void> => {
    let reason = 'the broker has not confirmed them yet';
    try {
      const outcome = await held.settle(
        pieces.map(({item}) => item),
        () => publish(pieces, shardId),
      );
      if (outcome === 'confirmed') {
        isRefused = false;
        return;
      }
    } catch (error) {
      reason = describeError(error);
    }
    if (!isRefused) log.warn({shard: shardId, reason}, 'batches cannot be parked and stay in hand');
    isRefused = true;
  };

  return async (pieces, shardId) => {
    const {open = [], fresh = []} = Object.groupBy(pieces, ({item}) => (held.isOpen(item) ? 'open' : 'fresh'));
    const groups = [...open.map((piece) => [piece]), ...packPieces(fresh)];
    await Promise.all(groups.map((group) => settle(group, shardId)));
    return pieces.filter((piece) => !piece.isClosed());
  };
};

/** Groups of what may share a message: same way back, same attempts, and no larger than a bundle. */
export const packPieces = (pieces: readonly Piece[]): readonly (readonly Piece[])[] => {
  const kinds = Map.groupBy(pieces, ({delivery}) => `${delivery.routingKey}/${delivery.attempt}`);
  return [...kinds.values()].flatMap((kind) => {
    const groups: (readonly Piece[])[] = [];
    for (let rest = kind; rest.length > 0;) {
      const count = countOfBundle(rest, DEFAULT_BUNDLE_LIMITS);
      groups.push(rest.slice(0, count));
      rest = rest.slice(count);
    }
    return groups;
  });
};

import {countOfBundle, DEFAULT_BUNDLE_LIMITS, encodeBundle} from '@pisync/core/broker/bundle';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {publishParked} from '@pisync/core/broker/retry';
import {describeError} from '@pisync/core/errors/app-error';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type WorkerMetrics} from '../metrics.ts';
import {type Piece} from './parcel.ts';

/**
 * Puts pieces aside on the broker and settles those that it has confirmed. Without a shard they come back after the first
 * rung. @returns those that stay in hand, because the broker does not take them now. Never rejects.
 */
export type Park = (pieces: readonly Piece[], shardId: number | undefined) => Promise<readonly Piece[]>;

export interface ParkOptions {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly metrics: Pick<WorkerMetrics, 'batches'>;
  readonly log: Logger;
}

export const createPark = ({publisher, names, metrics, log}: ParkOptions): Park => {
  let isRefused = false;

  const publish = async (pieces: readonly Piece[], shardId: number | undefined): Promise<readonly Piece[]> => {
    const [first] = pieces;
    if (first === undefined) return [];
    try {
      const content = encodeBundle(pieces.map(({item}) => item));
      await publishParked(publisher, names, {...first.delivery, content}, shardId);
    } catch (error) {
      if (!isRefused)
        log.warn({shard: shardId, reason: describeError(error)}, 'batches cannot be parked and stay in hand');
      isRefused = true;
      return pieces;
    }
    isRefused = false;
    metrics.batches.inc({outcome: 'parked'}, pieces.length);
    for (const piece of pieces) piece.close('settled');
    return [];
  };

  return async (pieces, shardId) => {
    const left = await Promise.all(packPieces(pieces).map((group) => publish(group, shardId)));
    return left.flat();
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

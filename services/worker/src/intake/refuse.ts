import {encodeBundle} from '@pisync/core/broker/bundle';
import {type BrokerNames, RETRY_RUNGS} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {publishRetry} from '@pisync/core/broker/retry';
import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Refused} from '../apply/apply.ts';
import {type WorkerMetrics} from '../metrics.ts';
import {type Held} from './held.ts';
import {type Piece} from './parcel.ts';
import {type KeepUnreadable} from './unreadable.ts';

export interface RefuseOptions {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly held: Held;
  readonly keepUnreadable: KeepUnreadable;
  /** Sends a piece on its way to its shard. */
  readonly dispatch: (piece: Piece) => void;
  readonly metrics: Pick<WorkerMetrics, 'batches'>;
  readonly log: Logger;
  readonly timers: Pick<Timers, 'after' | 'sleep'>;
  readonly stopping: AbortSignal;
}

const PAUSE_MS = {first: 100, most: 5_000} as const;

const LAST_RUNG = RETRY_RUNGS.length - 1;

type Refusal = Omit<Refused, 'batch'>;
export type Refuse = (piece: Piece, refusal: Refusal) => Promise<void>;

/**
 * A piece that its shard refuses goes to the next rung, alone; after the last it is applied as a rejection, and if even that is
 * refused its bytes are kept. What is not its own fault stays on the ladder, and once there on the last rung. Until one of these worked, or the broker has taken it back, it stays in hand. Never rejects.
 */
export const createRefuse = (options: RefuseOptions): Refuse => {
  const {publisher, names, held, keepUnreadable, dispatch, metrics, log, timers, stopping} = options;

  const refuse = async (piece: Piece, {reason, scope}: Refusal): Promise<void> => {
    const {batch, item, delivery, exhausted} = piece;
    const content = encodeBundle([item]);
    if (scope !== 'batch') {
      await publishRetry(publisher, names, {...delivery, content, attempt: Math.min(delivery.attempt, LAST_RUNG)});
      metrics.batches.inc({outcome: 'retried'});
      piece.close('settled');
    } else if (exhausted !== undefined) {
      await keepUnreadable(
        exhausted,
        {deviceId: batch.deviceId, epoch: batch.epoch, batchSeq: batch.batchSeq},
        content,
      );
      piece.close('settled');
    } else if ((await publishRetry(publisher, names, {...delivery, content})) === 'scheduled') {
      metrics.batches.inc({outcome: 'retried'});
      piece.close('settled');
    } else {
      dispatch({...piece, exhausted: `refused ${delivery.attempt + 1} times, at last: ${reason}`});
    }
  };

  return async (piece, refusal) => {
    for (let pauseMs: number = PAUSE_MS.first; !stopping.aborted; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most)) {
      // Delivered again by now, and to be refused there: two on the ladder would be four after the next break.
      if (piece.isClosed() || piece.delivery.isLost()) break;
      try {
        if ((await held.settle([piece.item], () => refuse(piece, refusal))) === 'confirmed') return;
      } catch (error) {
        const {deviceId: device, batchSeq} = piece.batch;
        log.warn({device, batchSeq, reason: describeError(error)}, 'a refused batch stays in hand');
        await timers.sleep(pauseMs, stopping);
      }
    }
    piece.close('given-back');
  };
};

import {encodeBundle} from '@pisync/core/broker/bundle';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {publishRetry} from '@pisync/core/broker/retry';
import {describeError} from '@pisync/core/errors/app-error';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Apply} from '../apply/apply.ts';
import {type Batch, recordCount} from '../apply/batch.ts';
import {type Written} from '../apply/shard-writer.ts';
import {type WorkerMetrics} from '../metrics.ts';
import {type Parcel, type Piece} from './parcel.ts';

export interface SettleOptions {
  readonly apply: Apply;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  /** Tells caches and live viewers what was committed; never rejects. */
  readonly announce: (written: readonly Written[]) => Promise<void>;
  readonly keepUnreadable: (
    reason: string,
    detail: Readonly<Record<string, unknown>>,
    content: Buffer,
  ) => Promise<void>;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly now: () => number;
  readonly stopping: AbortSignal;
}

/**
 * Applies a window of parcels and settles their deliveries: acked when every piece is committed, in quarantine or on the
 * retry ladder; given back when the process stops before. Never rejects.
 */
export const createSettle = (options: SettleOptions): ((parcels: readonly Parcel[]) => Promise<void>) => {
  const {apply, announce, metrics, log, now, stopping} = options;

  const settle = async (parcels: readonly Parcel[]): Promise<void> => {
    const began = now();
    const parcelOf = new Map(
      parcels.flatMap((parcel) => parcel.pieces.map(({batch}) => [batch.payload, parcel] as const)),
    );
    const result = await apply(
      parcels.flatMap(({pieces}) => pieces.map(({batch}) => batch)),
      stopping,
    );
    metrics.windowSeconds.observe((now() - began) / 1000);
    metrics.windowRecords.observe(parcels.reduce((sum, {records}) => sum + records, 0));
    metrics.lagSeconds.observe(Math.max(0, now() - Math.min(...parcels.map(({oldestAtMs}) => oldestAtMs))) / 1000);
    count(metrics, result.written);
    await announce(result.written);

    const givenBack = new Set<Parcel>();
    // A payload is a view of its own into one message, so it names the piece also after its content was rewritten.
    for (const {payload} of result.undecided) addTo(givenBack, parcelOf.get(payload));
    for (const {batch, reason} of result.failed) {
      const parcel = parcelOf.get(batch.payload);
      const piece = parcel?.pieces.find((one) => one.batch.payload === batch.payload);
      if (parcel === undefined || piece === undefined) continue;
      if (!(await climb(options, parcel, piece, reason))) givenBack.add(parcel);
    }
    for (const parcel of parcels) {
      if (givenBack.has(parcel)) parcel.delivery.requeue();
      else parcel.delivery.ack();
    }
  };

  return async (parcels) => {
    try {
      await settle(parcels);
    } catch (error) {
      log.error({reason: describeError(error)}, 'a window could not be settled and is given back to the broker');
      for (const {delivery} of parcels) delivery.requeue();
    }
  };
};

const addTo = <T>(set: Set<T>, value: T | undefined): void => {
  if (value !== undefined) set.add(value);
};

/** One piece goes to the next rung, alone; after the last, to quarantine. False when it stays with the broker. */
const climb = async (
  options: SettleOptions,
  {delivery}: Parcel,
  {batch, item}: Piece,
  reason: string,
): Promise<boolean> => {
  const {publisher, names, apply, announce, keepUnreadable, metrics, log, stopping} = options;
  const content = encodeBundle([item]);
  try {
    const {routingKey, attempt} = delivery;
    if ((await publishRetry(publisher, names, {routingKey, content, attempt})) === 'scheduled') {
      metrics.batches.inc({outcome: 'retried'});
      return true;
    }
    const exhausted = `refused ${attempt + 1} times, at last: ${reason}`;
    const last = await apply([{...batch, content: {kind: 'rejected', reason: exhausted}}], stopping);
    count(metrics, last.written);
    await announce(last.written);
    if (last.undecided.length > 0) return false;
    // Not even its rejection can be stored where it belongs; what is left is to keep the bytes.
    if (last.failed.length > 0)
      await keepUnreadable(
        exhausted,
        {deviceId: batch.deviceId, epoch: batch.epoch, batchSeq: batch.batchSeq},
        content,
      );
    return true;
  } catch (error) {
    log.warn(
      {device: batch.deviceId, batchSeq: batch.batchSeq, reason: describeError(error)},
      'a refused batch stays in its queue',
    );
    return false;
  }
};

const count = (metrics: WorkerMetrics, written: readonly Written[]): void => {
  for (const {applied, duplicates, conflicts} of written) {
    const rejected = applied.filter(({content}) => content.kind === 'rejected').length;
    const bad = applied.reduce((sum, {content}) => sum + (content.kind === 'good' ? content.bad.length : 0), 0);
    metrics.batches.inc({outcome: 'applied'}, applied.length - rejected);
    metrics.batches.inc({outcome: 'rejected'}, rejected);
    metrics.batches.inc({outcome: 'duplicate'}, duplicates.length);
    metrics.batches.inc({outcome: 'conflict'}, conflicts.length);
    metrics.records.inc(applied.reduce((sum: number, batch: Batch) => sum + recordCount(batch), 0));
    metrics.quarantined.inc({kind: 'record'}, bad);
    metrics.quarantined.inc({kind: 'batch'}, rejected);
    metrics.quarantined.inc({kind: 'conflict'}, conflicts.length);
  }
};

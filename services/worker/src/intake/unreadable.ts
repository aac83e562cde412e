import {createHash} from 'node:crypto';
import {type Delivery} from '@pisync/core/broker/consumer';
import {describeError} from '@pisync/core/errors/app-error';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type WorkerMetrics} from '../metrics.ts';

/**
 * Keeps what cannot be applied anywhere in the control schema, for a person to look at. The same bytes
 * are kept once. @throws what the database threw.
 */
export type KeepUnreadable = (
  reason: string,
  detail: Readonly<Record<string, unknown>>,
  content: Buffer,
) => Promise<void>;

export const createKeepUnreadable =
  (shards: Pick<Shards, 'control'>): KeepUnreadable =>
  async (reason, detail, content) => {
    await shards.control('ingest').query({
      name: 'quarantine-unreadable',
      text: `insert into control.unreadable_message (sha256, reason, detail, payload) values ($1, $2, $3::jsonb, $4)
             on conflict (sha256) do nothing`,
      values: [
        createHash('sha256').update(content).digest(),
        reason.replaceAll('\0', ''),
        JSON.stringify(detail),
        content,
      ],
    });
  };

export interface KeepMessageOptions {
  readonly keepUnreadable: KeepUnreadable;
  readonly metrics: Pick<WorkerMetrics, 'quarantined'>;
  readonly log: Logger;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly stopping: AbortSignal;
}

const RETRY_MS = 1000;

/** A message that is no bundle is kept where a person finds it; until that worked it stays with the broker. Never rejects. */
export const createKeepMessage =
  (options: KeepMessageOptions) =>
  async (delivery: Delivery, error: unknown): Promise<void> => {
    const {keepUnreadable, metrics, log, sleep, stopping} = options;
    const reason = describeError(error);
    log.error(
      {queue: delivery.queue, bytes: delivery.content.length, reason},
      'a message cannot be read and goes to quarantine',
    );
    while (!stopping.aborted && !delivery.isLost()) {
      try {
        await keepUnreadable(reason, {queue: delivery.queue}, delivery.content);
        metrics.quarantined.inc({kind: 'message'});
        delivery.ack();
        return;
      } catch (failure) {
        log.warn({reason: describeError(failure)}, 'a message that cannot be read waits for shard 0');
        await sleep(RETRY_MS, stopping);
      }
    }
    delivery.requeue();
  };

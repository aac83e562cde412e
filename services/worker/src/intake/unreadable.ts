import {createHash} from 'node:crypto';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Delivery} from '@pisync/core/broker/consumer';
import {type Publisher} from '@pisync/core/broker/publisher';
import {decodeUnreadable, publishUnreadable, type Unreadable} from '@pisync/core/broker/unreadable';
import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {databaseFault} from '@pisync/core/shards/database-fault';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type WorkerMetrics} from '../metrics.ts';

/** Puts what cannot be applied anywhere into a queue of its own, so that it holds nothing else up while shard 0 is away. @throws what the publisher threw */
export type KeepUnreadable = (
  reason: string,
  detail: Readonly<Record<string, unknown>>,
  content: Buffer,
) => Promise<void>;

export const createKeepUnreadable =
  (publisher: Pick<Publisher, 'publish'>, names: BrokerNames): KeepUnreadable =>
  (reason, detail, content) =>
    publishUnreadable(publisher, names, {reason: reason.replaceAll('\0', ''), detail, content});

export interface StoreUnreadableOptions {
  readonly shards: Pick<Shards, 'control'>;
  readonly log: Logger;
  readonly timers: Pick<Timers, 'sleep'>;
  readonly stopping: AbortSignal;
}

/** Brings such a message into the control schema, for a person to look at; the same bytes are kept once. Never rejects. */
export const createStoreUnreadable = ({shards, log, timers, stopping}: StoreUnreadableOptions) => {
  const insert = async ({reason, detail, content}: Unreadable): Promise<void> => {
    await shards.control('ingest').query({
      name: 'unreadable-insert',
      text: `insert into control.unreadable_message (sha256, reason, detail, payload) values ($1, $2, $3::jsonb, $4)
             on conflict (sha256) do nothing`,
      values: [createHash('sha256').update(content).digest(), reason, JSON.stringify(detail), content],
    });
  };
  const store = async (message: Buffer): Promise<void> => {
    const read = decodeUnreadable(message);
    try {
      await insert(read);
    } catch (error) {
      const fault = databaseFault(error);
      if (fault !== 'values' && fault !== 'constraint') throw error;
      // Text that the database cannot hold: the bytes are what matters.
      await insert({...read, reason: 'unreadable, and so is what was said of it', detail: {}});
    }
  };
  return async (delivery: Delivery): Promise<void> => {
    while (!stopping.aborted && !delivery.isLost()) {
      try {
        await store(delivery.content);
        delivery.ack();
        return;
      } catch (failure) {
        log.warn({reason: describeError(failure)}, 'a message that cannot be read waits for shard 0');
        await timers.sleep(STORE_RETRY_MS, stopping);
      }
    }
    delivery.requeue();
  };
};

/** Nobody waits for it. */
const STORE_RETRY_MS = 5_000;

export interface KeepMessageOptions {
  readonly keepUnreadable: KeepUnreadable;
  readonly metrics: Pick<WorkerMetrics, 'quarantined'>;
  readonly log: Logger;
  readonly timers: Pick<Timers, 'sleep'>;
  readonly stopping: AbortSignal;
}

const RETRY_MS = 1000;

/** A message that is no bundle is kept where a person finds it; until that worked it stays with the broker. Never rejects. */
export const createKeepMessage =
  (options: KeepMessageOptions) =>
  async (delivery: Delivery, error: unknown): Promise<void> => {
    const {keepUnreadable, metrics, log, timers, stopping} = options;
    const reason = describeError(error);
    log.error(
      {queue: delivery.queue, bytes: delivery.content.length, reason},
      'a message cannot be read and is set aside',
    );
    while (!stopping.aborted && !delivery.isLost()) {
      try {
        await keepUnreadable(reason, {queue: delivery.queue}, delivery.content);
        metrics.quarantined.inc({kind: 'message'});
        delivery.ack();
        return;
      } catch (failure) {
        log.warn({reason: describeError(failure)}, 'a message that cannot be read stays in hand');
        await timers.sleep(RETRY_MS, stopping);
      }
    }
    delivery.requeue();
  };

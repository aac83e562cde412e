import {createHash} from 'node:crypto';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Delivery} from '@pisync/core/broker/consumer';
import {type Publisher} from '@pisync/core/broker/publisher';
import {publishParked} from '@pisync/core/broker/retry';
import {decodeUnreadable, publishUnreadable, type Unreadable} from '@pisync/core/broker/unreadable';
import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {databaseFault} from '@pisync/core/shards/database-fault';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type WorkerMetrics} from '../metrics.ts';
import {type Held} from './held.ts';

/** Puts what cannot be applied anywhere into a queue of its own, so that it holds nothing else up while shard 0 is away; counted and logged. @throws what the publisher threw */
export type KeepUnreadable = (
  reason: string,
  detail: Readonly<Record<string, unknown>>,
  content: Buffer,
) => Promise<void>;

export interface KeepUnreadableOptions {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly metrics: Pick<WorkerMetrics, 'quarantined'>;
  readonly log: Logger;
}

export const createKeepUnreadable =
  ({publisher, names, metrics, log}: KeepUnreadableOptions): KeepUnreadable =>
  async (reason, detail, content) => {
    await publishUnreadable(publisher, names, {reason: reason.replaceAll('\0', ''), detail, content});
    metrics.quarantined.inc({kind: 'message'});
    log.error({...detail, bytes: content.length, reason}, 'what cannot be applied is set aside for a person');
  };

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

/** What is set aside: a message, or a part of one. */
export type Kept = Pick<Delivery, 'queue' | 'content' | 'isLost' | 'ack' | 'requeue'>;
export type Keep = (kept: Kept, error: unknown) => Promise<void>;

export interface KeepMessageOptions {
  readonly keepUnreadable: KeepUnreadable;
  readonly held: Held;
  readonly log: Logger;
  readonly timers: Pick<Timers, 'sleep'>;
  readonly stopping: AbortSignal;
}

const RETRY_MS = 1000;

/** Publishes all of it until the broker has confirmed each, and acks then; a message that was lost meanwhile comes again. Never rejects. */
export const untilConfirmed = async (
  {held, log, timers, stopping}: Pick<KeepMessageOptions, 'held' | 'log' | 'timers' | 'stopping'>,
  delivery: Pick<Delivery, 'isLost' | 'ack' | 'requeue'>,
  parts: readonly (() => Promise<unknown>)[],
): Promise<void> => {
  const left = new Set(parts);
  const settle = (part: () => Promise<unknown>): Promise<unknown> =>
    held.settle([part], async () => {
      await part();
      left.delete(part);
    });
  while (!stopping.aborted && !delivery.isLost()) {
    try {
      await Promise.all(Array.from(left, settle));
      if (left.size > 0) continue;
      delivery.ack();
      return;
    } catch (failure) {
      log.warn({reason: describeError(failure)}, 'a message that has to go elsewhere stays in hand');
      await timers.sleep(RETRY_MS, stopping);
    }
  }
  delivery.requeue();
};

/** What nobody can read is kept where a person finds it; until that worked it stays with the broker. Never rejects. */
export const createKeepMessage =
  (options: KeepMessageOptions): Keep =>
  (kept, error) =>
    untilConfirmed(options, kept, [
      () => options.keepUnreadable(describeError(error), {queue: kept.queue}, kept.content),
    ]);

export interface PutOffOptions extends Pick<KeepMessageOptions, 'held' | 'log' | 'timers' | 'stopping'> {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
}

/** A bundle of a newer release waits on the first rung, with its attempts as they are, until a worker of that release meets it. Never rejects. */
export const createPutOff =
  (options: PutOffOptions) =>
  (delivery: Delivery, error: unknown): Promise<void> => {
    const {publisher, names, log} = options;
    log.warn({queue: delivery.queue, reason: describeError(error)}, 'a bundle waits for a newer worker');
    return untilConfirmed(options, delivery, [() => publishParked(publisher, names, delivery, undefined)]);
  };

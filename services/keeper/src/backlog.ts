import {type BrokerConnection} from '@pisync/core/broker/connection';
import {type BrokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';

/** What messages wait for: a worker, their next attempt, a shard that is away, an answer to a person, to be worked on alone, or shard 0. */
export type BacklogKind = 'batches' | 'retry' | 'parked' | 'requests' | 'suspects' | 'unreadable';

export interface BacklogOptions {
  readonly connection: Pick<BrokerConnection, 'ready'>;
  readonly names: BrokerNames;
  readonly partitions: number;
  readonly shardIds: readonly number[];
}

/** A broker that is there answers in milliseconds. */
const PATIENCE_MS = 3_000;

/** Counts the messages that nobody has in hand, whether there is a worker or not. @throws what the broker said, or AppError `unavailable` when it does not answer */
export const countBacklog = (options: BacklogOptions): Promise<ReadonlyMap<BacklogKind, number>> =>
  withTimeout(count(options), PATIENCE_MS, `the broker did not answer within ${PATIENCE_MS} ms`);

const count = async (options: BacklogOptions): Promise<ReadonlyMap<BacklogKind, number>> => {
  const connection = await options.connection.ready();
  const counts = new Map<BacklogKind, number>();
  for (const [kind, queues] of queuesOf(options)) {
    let sum = 0;
    for (const queue of queues) {
      const channel = await connection.createChannel();
      // Asking for a queue that is not there costs the channel: nobody has declared it yet, so nothing waits in it.
      channel.on('error', () => undefined);
      const found = await channel.checkQueue(queue).catch(() => undefined);
      if (found === undefined) continue;
      sum += found.messageCount;
      await channel.close();
    }
    counts.set(kind, sum);
  }
  return counts;
};

const queuesOf = ({
  names,
  partitions,
  shardIds,
}: Omit<BacklogOptions, 'connection'>): readonly (readonly [BacklogKind, readonly string[]])[] => [
  [
    'batches',
    QUEUE_PRIORITIES.flatMap((priority) =>
      Array.from({length: partitions}, (_, partition) => names.batches.queue(partition, priority)),
    ),
  ],
  ['retry', RETRY_RUNGS.map((rung) => names.retry.queue(rung))],
  ['parked', shardIds.map((shardId) => names.parked.queue(shardId))],
  ['requests', [...QUEUE_PRIORITIES.map((priority) => names.requests.queue(priority)), names.requests.later.queue]],
  ['suspects', [names.suspects.queue]],
  ['unreadable', [names.unreadable.queue]],
];

/** Names of everything on the broker. Queue arguments are immutable, so names carry a version: other arguments are other names. */

export type QueuePriority = 'high' | 'normal';
export const QUEUE_PRIORITIES = ['high', 'normal'] as const satisfies readonly QueuePriority[];

/** Waits between attempts: a hiccup, a restart, an outage, somebody's attention. */
export const RETRY_RUNGS = [
  {name: '5s', delayMs: 5_000},
  {name: '1m', delayMs: 60_000},
  {name: '10m', delayMs: 600_000},
  {name: '1h', delayMs: 3_600_000},
] as const;
export type RetryRung = (typeof RETRY_RUNGS)[number];

/** How often a bundle was tried before; the message's own header, because brokers count differently. */
export const ATTEMPT_HEADER = 'x-pisync-attempt';

/**
 * Carries a {@link BrokerNames.parked} queue's name: its exchange routes by it, so that the routing key stays free for the way back. It does not begin with `x-`:
 * `x-match: all` leaves out such headers, so every queue would get every message.
 */
export const PARKED_HEADER = 'pisync-parked';

export interface BrokerNames {
  readonly batches: {
    readonly exchange: string;
    queue(partition: number, priority: QueuePriority): string;
    routingKey(partition: number, priority: QueuePriority): string;
  };
  readonly retry: {exchange(rung: RetryRung): string; queue(rung: RetryRung): string};
  /** One queue a shard, for batches that wait while it is away. */
  readonly parked: {readonly exchange: string; queue(shardId: number): string};
  readonly requests: {
    readonly exchange: string;
    queue(priority: QueuePriority): string;
    /** For requests whose shard is away; they come back. */
    readonly later: {readonly exchange: string; readonly queue: string};
  };
  /** For what was in hand when processes died, to be worked on alone. */
  readonly suspects: {readonly exchange: string; readonly queue: string};
  /** For what cannot be applied anywhere, until it is in the control schema. */
  readonly unreadable: {readonly queue: string};
  /** Where it is tried whether messages are taken. */
  readonly probe: {readonly queue: string};
}

/** @param prefix tests pass a random one, so that they share a broker without meeting. */
export const brokerNames = (prefix = 'pisync'): BrokerNames => {
  const routingKey = (partition: number, priority: QueuePriority): string =>
    `p${String(partition).padStart(2, '0')}.${priority}`;
  return {
    batches: {
      exchange: `${prefix}.batches.v1`,
      queue: (partition, priority) => `${prefix}.batches.v1.${routingKey(partition, priority)}`,
      routingKey,
    },
    retry: {
      exchange: (rung) => `${prefix}.retry.v1.${rung.name}`,
      queue: (rung) => `${prefix}.retry.v1.${rung.name}`,
    },
    parked: {
      exchange: `${prefix}.parked.v2`,
      queue: (shardId) => `${prefix}.parked.v2.s${String(shardId).padStart(2, '0')}`,
    },
    requests: {
      exchange: `${prefix}.requests.v1`,
      queue: (priority) => `${prefix}.requests.v1.${priority}`,
      later: {exchange: `${prefix}.requests.v1.later`, queue: `${prefix}.requests.v1.later`},
    },
    suspects: {exchange: `${prefix}.suspects.v1`, queue: `${prefix}.suspects.v1`},
    unreadable: {queue: `${prefix}.unreadable.v1`},
    probe: {queue: `${prefix}.probe.v1`},
  };
};

export const partitionOf = (slot: number, partitions: number): number => slot % partitions;

import type {Channel} from 'amqplib';
import {type BrokerNames, PARKED_HEADER, QUEUE_PRIORITIES, RETRY_RUNGS} from './names.ts';

/**
 * RabbitMQ 4 drops a message of a quorum queue after 20 deliveries. A bundle must outlive any number of workers that die on it
 * (the worker's own attempt header decides when to give up, and a worker works alone on what came back often), so the limit is one that is never reached. -1 would say so,
 * but 3.x refuses it.
 */
const DELIVERY_LIMIT = 1_000_000_000;

const QUORUM = {'x-queue-type': 'quorum', 'x-delivery-limit': DELIVERY_LIMIT};

/**
 * A worker that knows the shard takes its batches from their queue itself, however long they wait. This brings back what no worker takes, as after the return to a release
 * without these queues. Within an outage it would send the whole backlog round, so it is longer than those; after a day devices send again anyway.
 */
export const PARKED_MS = 86_400_000;

/** A person waits for what is asked for; a shard that restarts is back within a minute. */
const REQUEST_LATER_MS = 5_000;

/** Shard 0 takes what is unreadable; while it is away so much of it waits outside of the queues that others stand in. */
const UNREADABLE_BYTES = 64 * 1024 * 1024;

/** A queue whose messages go back to where they came from after a time: the routing key stays. */
const returningTo = (exchange: string, afterMs: number) => ({
  'x-queue-type': 'quorum',
  'x-message-ttl': afterMs,
  'x-dead-letter-exchange': exchange,
  // The default, at-most-once, loses what is under way when the broker dies. It needs reject-publish.
  'x-dead-letter-strategy': 'at-least-once',
  'x-overflow': 'reject-publish',
});

/**
 * Declares every exchange, queue and binding but the queues of {@link assertParkedQueue}; does nothing where they exist.
 * Valid on RabbitMQ 3.10 to 4.x.
 */
export const assertBrokerTopology = async (channel: Channel, names: BrokerNames, partitions: number): Promise<void> => {
  const {batches, parked, retry, requests, suspects, unreadable} = names;
  await channel.assertExchange(batches.exchange, 'direct', {durable: true});
  await channel.assertExchange(requests.exchange, 'direct', {durable: true});
  await channel.assertExchange(parked.exchange, 'headers', {durable: true});
  for (const priority of QUEUE_PRIORITIES) {
    for (let partition = 0; partition < partitions; partition++) {
      const queue = batches.queue(partition, priority);
      await channel.assertQueue(queue, {durable: true, arguments: QUORUM});
      await channel.bindQueue(queue, batches.exchange, batches.routingKey(partition, priority));
    }
    await channel.assertQueue(requests.queue(priority), {durable: true, arguments: QUORUM});
    await channel.bindQueue(requests.queue(priority), requests.exchange, priority);
  }
  const assertFanout = async (
    way: {readonly exchange: string; readonly queue: string},
    args: object,
  ): Promise<void> => {
    await channel.assertExchange(way.exchange, 'fanout', {durable: true});
    await channel.assertQueue(way.queue, {durable: true, arguments: args});
    await channel.bindQueue(way.queue, way.exchange, '');
  };
  await assertFanout(requests.later, returningTo(requests.exchange, REQUEST_LATER_MS));
  await assertFanout(suspects, QUORUM);
  await channel.assertQueue(unreadable.queue, {
    durable: true,
    arguments: {...QUORUM, 'x-max-length-bytes': UNREADABLE_BYTES, 'x-overflow': 'reject-publish'},
  });
  for (const rung of RETRY_RUNGS) {
    const way = {exchange: retry.exchange(rung), queue: retry.queue(rung)};
    await assertFanout(way, returningTo(batches.exchange, rung.delayMs));
  }
};

/** Declares the queue for messages that only try whether the broker takes any: kept like batches, and only the last one of them. */
export const assertProbeQueue = async (channel: Channel, {probe}: BrokerNames): Promise<void> => {
  await channel.assertQueue(probe.queue, {durable: true, arguments: {...QUORUM, 'x-max-length': 1}});
};

/** Declares the queue of one shard's parked batches, and no more. Workers do, who alone know which shards there are. */
export const assertParkedQueue = async (
  channel: Pick<Channel, 'assertExchange' | 'assertQueue' | 'bindQueue'>,
  {batches, parked}: BrokerNames,
  shardId: number,
): Promise<void> => {
  const queue = parked.queue(shardId);
  await channel.assertExchange(parked.exchange, 'headers', {durable: true});
  await channel.assertQueue(queue, {
    durable: true,
    arguments: {...QUORUM, ...returningTo(batches.exchange, PARKED_MS)},
  });
  await channel.bindQueue(queue, parked.exchange, '', {'x-match': 'all', [PARKED_HEADER]: queue});
};

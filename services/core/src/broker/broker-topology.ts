import type {Channel} from 'amqplib';
import {type BrokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from './names.ts';

/**
 * RabbitMQ 4 drops a message of a quorum queue after 20 deliveries. A bundle must outlive any number of workers that die on it
 * (the worker's own attempt header decides when to give up), so the limit is one that is never reached. -1 would say so,
 * but 3.x refuses it.
 */
const DELIVERY_LIMIT = 1_000_000_000;

const QUORUM = {'x-queue-type': 'quorum', 'x-delivery-limit': DELIVERY_LIMIT};

/** Declares every exchange, queue and binding; does nothing where they exist. Valid on RabbitMQ 3.10 to 4.x. */
export const assertBrokerTopology = async (channel: Channel, names: BrokerNames, partitions: number): Promise<void> => {
  const {batches, retry, requests} = names;
  await channel.assertExchange(batches.exchange, 'direct', {durable: true});
  await channel.assertExchange(requests.exchange, 'direct', {durable: true});
  for (const priority of QUEUE_PRIORITIES) {
    for (let partition = 0; partition < partitions; partition++) {
      const queue = batches.queue(partition, priority);
      await channel.assertQueue(queue, {durable: true, arguments: QUORUM});
      await channel.bindQueue(queue, batches.exchange, batches.routingKey(partition, priority));
    }
    await channel.assertQueue(requests.queue(priority), {durable: true, arguments: QUORUM});
    await channel.bindQueue(requests.queue(priority), requests.exchange, priority);
  }
  for (const rung of RETRY_RUNGS) {
    await channel.assertExchange(retry.exchange(rung), 'fanout', {durable: true});
    await channel.assertQueue(retry.queue(rung), {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-message-ttl': rung.delayMs,
        // Back to where it came from: the routing key stays.
        'x-dead-letter-exchange': batches.exchange,
        // The default, at-most-once, loses what is under way when the broker dies. It needs reject-publish.
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
      },
    });
    await channel.bindQueue(retry.queue(rung), retry.exchange(rung), '');
  }
};

/**
 * RabbitMQ: what was kept stays until it is acked; whether it was kept the publisher may not hear. Rungs and parked queues give back what nobody took in
 * time. Messages come again, later, and in another order.
 */
import {type Delivery} from '@pisync/core/broker/consumer';
import {
  ATTEMPT_HEADER,
  type BrokerNames,
  PARKED_HEADER,
  QUEUE_PRIORITIES,
  RETRY_RUNGS,
} from '@pisync/core/broker/names';
import {type Outgoing} from '@pisync/core/broker/outgoing';
import {type Publisher} from '@pisync/core/broker/publisher';
import {PARKED_MS} from '@pisync/core/broker/broker-topology';
import {AppError} from '@pisync/core/errors/app-error';
import {type Copies, createCopies} from './judge/copies.ts';
import {type Process} from './processes/process.ts';
import {type Random} from './random.ts';
import {type Scheduler} from './scheduler.ts';
import {type Story} from './story.ts';

interface Message {
  readonly id: number;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly attempt: number;
  returned: number;
}

interface Consumer {
  readonly process: Process;
  readonly queues: ReadonlySet<string>;
  readonly prefetch: number;
  readonly onDelivery: (delivery: Delivery) => void;
  readonly inHand: Map<Message, Queue>;
  isGone: boolean;
}

interface Queue {
  readonly name: string;
  ready: Message[];
  /** What is not taken for so long goes back to its partition. */
  readonly returnsAfterMs: number | undefined;
}

export interface BrokerWorld {
  /** For who is waited for: what is not confirmed in time counts as not published. */
  publisherFor(process: Process, confirmTimeoutMs: number): Pick<Publisher, 'publish'>;
  /** For a worker, of what it has in hand. */
  publisherOf(process: Process, confirmTimeoutMs: number | undefined): Pick<Publisher, 'publish'>;
  consume(
    process: Process,
    queues: readonly string[],
    prefetch: number,
    onDelivery: (delivery: Delivery) => void,
  ): void;
  /** Breaks the connections of a process, or of all. */
  breakConnections(process: Process | undefined): void;
  /** Takes and gives nothing for so long; what it had not kept is lost. */
  away(ms: number): void;
  /** Batches of which some worker made more copies than it may. */
  readonly tooManyCopies: () => readonly string[];
  /** Loses a message that waits, for good, and with it a promise that was made. */
  lose(): void;
  /** Whether a message was lost. */
  readonly hasLost: () => boolean;
  /** Messages that wait or are in somebody's hands. */
  readonly depth: () => number;
}

export interface BrokerWorldOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly story: Story;
  readonly names: BrokerNames;
  readonly partitions: number;
  readonly shardIds: readonly number[];
  /** How likely it is that a confirm is lost or late, that a kept message is kept twice, and that one that was acked comes again. */
  readonly faults: () => {
    readonly confirm: number;
    readonly doubled: number;
    readonly again: number;
    readonly againMs: number;
  };
}

export const createBrokerWorld = (options: BrokerWorldOptions): BrokerWorld => {
  const {scheduler, random, story, names, partitions, shardIds, faults} = options;
  const queues = new Map<string, Queue>();
  const consumers = new Set<Consumer>();
  /** Gone, and the broker has not noticed. */
  const leaving = new Set<Consumer>();
  const pending = new Map<Process, Set<(error: AppError) => void>>();
  const copies = new Map<Process, Copies>();
  const tooManyCopies = new Set<string>();
  let awayUntilMs = 0;
  let hasLost = false;
  let nextId = 1;
  const isAway = (): boolean => scheduler.now() < awayUntilMs;

  const declare = (name: string, returnsAfterMs?: number): void =>
    void queues.set(name, {name, ready: [], returnsAfterMs});
  for (const priority of QUEUE_PRIORITIES) {
    for (let partition = 0; partition < partitions; partition++) declare(names.batches.queue(partition, priority));
  }
  for (const rung of RETRY_RUNGS) declare(names.retry.queue(rung), rung.delayMs);
  declare(names.suspects.queue);
  for (const shardId of shardIds) declare(names.parked.queue(shardId), PARKED_MS);

  const queueOf = ({exchange, routingKey, headers}: Outgoing): Queue | undefined => {
    if (exchange === names.batches.exchange) return queues.get(`${exchange}.${routingKey}`);
    if (exchange === names.parked.exchange) return queues.get(String(headers?.[PARKED_HEADER]));
    if (exchange === names.suspects.exchange) return queues.get(names.suspects.queue);
    const rung = RETRY_RUNGS.find((one) => names.retry.exchange(one) === exchange);
    return rung === undefined ? undefined : queues.get(names.retry.queue(rung));
  };

  const enqueue = (queue: Queue, message: Message): void => {
    queue.ready.push(message);
    if (queue.returnsAfterMs !== undefined) {
      scheduler.after(queue.returnsAfterMs, () => {
        const at = queue.ready.indexOf(message);
        const home = queues.get(`${names.batches.exchange}.${message.routingKey}`);
        if (at < 0 || home === undefined) return;
        queue.ready.splice(at, 1);
        story.say('broker', () => `message ${message.id} goes back from ${queue.name} to its partition`);
        // Between two queues it is sent at least once.
        if (random.chance(faults().doubled)) enqueue(home, {...message, id: nextId++});
        enqueue(home, message);
      });
    }
    deliverLater(queue);
  };

  const deliverLater = (queue: Queue): void => void scheduler.after(random.skewed(0.2, 100), () => deliver(queue));

  const deliver = (queue: Queue): void => {
    if (isAway() || queue.ready.length === 0) return;
    const free = [...consumers].filter(
      (one) =>
        !one.isGone &&
        one.queues.has(queue.name) &&
        [...one.inHand.values()].filter((from) => from === queue).length < one.prefetch,
    );
    if (free.length === 0) return;
    const consumer = random.pick(free);
    const message = queue.ready.shift();
    if (message === undefined) return;
    consumer.inHand.set(message, queue);
    consumer.process.after(random.skewed(0.1, 30), () => {
      if (consumer.isGone) return;
      copies.get(consumer.process)?.handed(message.content);
      consumer.onDelivery(deliveryOf(consumer, queue, message));
    });
  };

  const deliveryOf = (consumer: Consumer, queue: Queue, message: Message): Delivery => {
    let isSettled = false;
    const settle = (how: () => void): void => {
      if (isSettled || consumer.isGone) return;
      isSettled = true;
      scheduler.after(random.skewed(0.1, 30), () => {
        if (!consumer.isGone && consumer.inHand.delete(message)) how();
      });
    };
    return {
      queue: queue.name,
      routingKey: message.routingKey,
      content: message.content,
      attempt: message.attempt,
      returned: message.returned,
      isLost: () => consumer.isGone,
      ack: () =>
        settle(() => {
          story.say('broker', () => `forgets message ${message.id}, which ${consumer.process.name} acked`);
          deliver(queue);
          if (!random.chance(faults().again)) return;
          const waitMs = random.skewed(1, faults().againMs);
          story.say(
            'broker',
            () => `will deliver message ${message.id} again in ${Math.round(waitMs)} ms all the same`,
          );
          scheduler.after(waitMs, () => enqueue(queue, {...message, id: nextId++}));
        }),
      requeue: () => settle(() => giveBack(queue, message)),
    };
  };

  const giveBack = (queue: Queue, message: Message): void => {
    message.returned += 1;
    enqueue(queue, message);
  };

  const drop = (consumer: Consumer): void => {
    if (consumer.isGone) return;
    consumer.isGone = true;
    consumers.delete(consumer);
    leaving.add(consumer);
    // That a client is gone is noticed at once, or by its heartbeat.
    scheduler.after(random.skewed(0, 20_000), () => {
      if (consumer.inHand.size > 0)
        story.say('broker', () => `takes ${consumer.inHand.size} messages back from ${consumer.process.name}`);
      for (const [message, queue] of consumer.inHand) giveBack(queue, message);
      consumer.inHand.clear();
      leaving.delete(consumer);
    });
  };

  const consume: BrokerWorld['consume'] = (process, names, prefetch, onDelivery) => {
    if (!process.isAlive()) return;
    if (isAway()) {
      process.after(random.int(100, 1000), () => consume(process, names, prefetch, onDelivery));
      return;
    }
    const consumer: Consumer = {
      process,
      queues: new Set(names),
      prefetch,
      onDelivery,
      inHand: new Map(),
      isGone: false,
    };
    consumers.add(consumer);
    process.onDeath(() => drop(consumer));
    for (const name of names) {
      const queue = queues.get(name);
      for (let count = 0; queue !== undefined && count < Math.min(prefetch, queue.ready.length); count++)
        deliverLater(queue);
    }
  };

  const keep = (outgoing: Outgoing, process: Process): boolean => {
    const queue = queueOf(outgoing);
    if (queue === undefined) return false;
    const attempt = Number(outgoing.headers?.[ATTEMPT_HEADER] ?? 0);
    const message: Message = {
      id: nextId++,
      routingKey: outgoing.routingKey,
      content: outgoing.content,
      attempt,
      returned: 0,
    };
    story.say(
      'broker',
      () =>
        `keeps message ${message.id} of ${process.name} in ${queue.name}${attempt > 0 ? `, attempt ${attempt}` : ''}`,
    );
    copies.get(process)?.kept(outgoing.content);
    enqueue(queue, message);
    return true;
  };

  const loseChannel = (process: Process): void => {
    for (const fail of [...(pending.get(process) ?? [])])
      fail(new AppError('broker-timeout', 'it is unknown whether the broker has the message'));
  };

  const publisherFor = (process: Process, confirmTimeoutMs: number | undefined): Pick<Publisher, 'publish'> => {
    const mine = new Set<(error: AppError) => void>();
    pending.set(process, mine);
    process.onDeath(() => pending.delete(process));
    const publish = (outgoing: Outgoing) =>
      new Promise<void>((resolve, reject) => {
        if (isAway()) {
          reject(new AppError('broker-unavailable', 'nothing was published: no connection'));
          return;
        }
        const lose = (error: AppError): void => {
          if (!mine.delete(lose)) return;
          copies.get(process)?.lost(outgoing.content);
          giveUp?.();
          reject(error);
        };
        const giveUp =
          confirmTimeoutMs === undefined
            ? undefined
            : process.after(confirmTimeoutMs, () => {
                if (mine.delete(lose)) reject(new AppError('broker-timeout', 'no confirm in time'));
              });
        mine.add(lose);
        const isBroken = random.chance(faults().confirm);
        // Lost on the way there or back, which ends the channel in time, or so late that nobody waits for it who has a deadline.
        const how = isBroken ? random.pick(['there', 'back', 'late'] as const) : 'well';
        if (how === 'there' || how === 'back') process.after(random.int(1_000, 20_000), () => loseChannel(process));
        scheduler.after(random.skewed(0.5, 50), () => {
          if (isAway() || how === 'there') return;
          const isKept = keep(outgoing, process);
          if (how === 'back') return;
          process.after(how === 'late' ? random.int(4_000, 30_000) : random.skewed(0.5, 50), () => {
            if (!mine.delete(lose)) return;
            giveUp?.();
            if (isKept) resolve();
            else
              reject(
                new AppError('broker-unavailable', `${outgoing.exchange} has no queue for ${outgoing.routingKey}`),
              );
          });
        });
      });
    return {publish};
  };

  return {
    publisherFor,
    publisherOf(process, confirmTimeoutMs) {
      const own = createCopies();
      copies.set(process, own);
      process.onDeath(() => {
        for (const batch of own.tooMany()) tooManyCopies.add(`${batch} by ${process.name}`);
        copies.delete(process);
      });
      return publisherFor(process, confirmTimeoutMs);
    },
    tooManyCopies: () => [
      ...tooManyCopies,
      ...[...copies].flatMap(([{name}, own]) => own.tooMany().map((batch) => `${batch} by ${name}`)),
    ],
    consume,
    breakConnections(process) {
      for (const owner of process === undefined ? [...pending.keys()] : [process]) loseChannel(owner);
      for (const consumer of [...consumers]) {
        if (process !== undefined && consumer.process !== process) continue;
        drop(consumer);
        consumer.process.after(random.int(100, 1000), () =>
          consume(consumer.process, [...consumer.queues], consumer.prefetch, consumer.onDelivery),
        );
      }
    },
    away(ms) {
      story.say('broker', () => `is away for ${Math.round(ms)} ms`);
      awayUntilMs = Math.max(awayUntilMs, scheduler.now() + ms);
      this.breakConnections(undefined);
      scheduler.after(ms, () => {
        for (const queue of queues.values())
          for (let count = queue.ready.length; count > 0; count--) deliverLater(queue);
      });
    },
    lose() {
      const waiting = [...queues.values()].filter(({ready}) => ready.length > 0);
      if (waiting.length === 0) return;
      const {name, ready} = random.pick(waiting);
      const [message] = ready.splice(random.int(0, ready.length - 1), 1);
      hasLost = true;
      story.say('broker', () => `loses message ${message?.id ?? ''} of ${name}`);
    },
    hasLost: () => hasLost,
    depth: () =>
      [...queues.values()].reduce((sum, {ready}) => sum + ready.length, 0) +
      [...consumers, ...leaving].reduce((sum, {inHand}) => sum + inHand.size, 0),
  };
};

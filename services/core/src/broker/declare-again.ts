import type {Channel} from 'amqplib';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import type {BrokerConnection} from './connection.ts';

export interface DeclareAgainOptions {
  readonly connection: Pick<BrokerConnection, 'another'>;
  readonly declare: (channel: Channel) => Promise<void>;
  /** After one that is over, its outcome counts for so long: a message that has no queue in spite of it must not have everything declared each time. */
  readonly restMs?: number;
}

const REST_MS = 5_000;
/** So long whoever published waits for it. */
const PATIENCE_MS = 5_000;
/** A queue that has no leader may never answer. */
const GIVE_UP_MS = 30_000;
const CLOSE_MS = 2_000;

/**
 * Declares what messages go to once more, because something of it is gone. Over a connection of its own, because RabbitMQ ends the one that asks for a queue without a leader. Callers at
 * one time share one. @throws what the broker said, or AppError `unavailable` after some seconds
 */
export const createDeclareAgain = ({
  connection,
  declare,
  restMs = REST_MS,
}: DeclareAgainOptions): (() => Promise<void>) => {
  let latest: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    const model = await connection.another();
    // What is wrong comes as the failure of a call.
    model.on('error', () => undefined);
    const declareAll = async (): Promise<void> => {
      const channel = await model.createChannel();
      channel.on('error', () => undefined);
      await declare(channel);
    };
    try {
      await withTimeout(declareAll(), GIVE_UP_MS, 'a queue did not answer');
    } finally {
      void withTimeout(model.close(), CLOSE_MS, 'the broker did not answer the close').catch(() => undefined);
    }
  };

  return () => {
    latest ??= run().finally(() => {
      setTimeout(() => (latest = undefined), restMs).unref();
    });
    return withTimeout(latest, PATIENCE_MS, 'the queues were not declared in time');
  };
};

import {BUNDLE_MEDIA_TYPE} from './bundle.ts';
import {ATTEMPT_HEADER, type BrokerNames, PARKED_HEADER, RETRY_RUNGS, type RetryRung} from './names.ts';
import type {Publisher} from './publisher.ts';

/** A fanout has one queue, whatever the routing key. */
const ONE_QUEUE = '';

/** Where a message waits before its next attempt, or undefined when it has been tried on every rung. */
const retryRung = (attempt: number): RetryRung | undefined => RETRY_RUNGS[attempt];

/** A bundle that is sent again: its way back and how often it was tried. */
export interface Resent {
  readonly routingKey: string;
  readonly content: Buffer;
  readonly attempt: number;
}

/**
 * Puts a bundle on the rung that follows its attempts, from where the broker brings it back to its own queue. The
 * caller acks the original after this resolved, so a crash in between doubles a message rather than losing it.
 * @returns `exhausted`, with nothing published, when there is no rung left.
 */
export const publishRetry = async (
  publisher: Pick<Publisher, 'publish'>,
  names: BrokerNames,
  {routingKey, content, attempt}: Resent,
): Promise<'scheduled' | 'exhausted'> => {
  const rung = retryRung(attempt);
  if (rung === undefined) return 'exhausted';
  await publisher.publish({
    exchange: names.retry.exchange(rung),
    routingKey,
    way: ONE_QUEUE,
    content,
    contentType: BUNDLE_MEDIA_TYPE,
    // Only this header: with the broker's own x-death it would take the way round for a loop and drop the message.
    headers: {[ATTEMPT_HEADER]: attempt + 1},
  });
  return 'scheduled';
};

/** Puts a bundle among those that are worked on alone. The caller acks the original after this resolved. @throws what {@link Publisher}.publish throws */
export const publishSuspect = (
  publisher: Pick<Publisher, 'publish'>,
  {suspects}: BrokerNames,
  {routingKey, content, attempt}: Resent,
): Promise<void> =>
  publisher.publish({
    exchange: suspects.exchange,
    routingKey,
    way: ONE_QUEUE,
    content,
    contentType: BUNDLE_MEDIA_TYPE,
    headers: headersOf(attempt),
  });

const headersOf = (attempt: number): Readonly<Record<string, number>> =>
  attempt === 0 ? {} : {[ATTEMPT_HEADER]: attempt};

/**
 * Puts a bundle aside for a reason that is not its own, so its attempts stay what they are: into the queue of the shard
 * that is away, from where workers take it when they choose, or without one on the first rung. The caller acks the
 * original after this resolved.
 * @throws what {@link Publisher}.publish throws; `broker-unavailable` also when no worker has declared the shard's queue.
 */
export const publishParked = async (
  publisher: Pick<Publisher, 'publish'>,
  names: BrokerNames,
  {routingKey, content, attempt}: Resent,
  shardId: number | undefined,
): Promise<void> => {
  const attempts = headersOf(attempt);
  await publisher.publish({
    exchange: shardId === undefined ? names.retry.exchange(RETRY_RUNGS[0]) : names.parked.exchange,
    routingKey,
    way: shardId === undefined ? ONE_QUEUE : names.parked.queue(shardId),
    content,
    contentType: BUNDLE_MEDIA_TYPE,
    headers: shardId === undefined ? attempts : {...attempts, [PARKED_HEADER]: names.parked.queue(shardId)},
  });
};

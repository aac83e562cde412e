import {BUNDLE_MEDIA_TYPE} from './bundle.ts';
import {ATTEMPT_HEADER, type BrokerNames, RETRY_RUNGS, type RetryRung} from './names.ts';
import type {Publisher} from './publisher.ts';

/** Where a message waits before its next attempt, or undefined when it has been tried on every rung. */
export const retryRung = (attempt: number): RetryRung | undefined => RETRY_RUNGS[attempt];

/**
 * Puts a bundle on the rung that follows its attempts, from where the broker brings it back to its own queue. The
 * caller acks the original after this resolved, so a crash in between doubles a message rather than losing it.
 * @returns `exhausted`, with nothing published, when there is no rung left.
 */
export const publishRetry = async (
  publisher: Pick<Publisher, 'publish'>,
  names: BrokerNames,
  {routingKey, content, attempt}: {readonly routingKey: string; readonly content: Buffer; readonly attempt: number},
): Promise<'scheduled' | 'exhausted'> => {
  const rung = retryRung(attempt);
  if (rung === undefined) return 'exhausted';
  await publisher.publish({
    exchange: names.retry.exchange(rung),
    routingKey,
    content,
    contentType: BUNDLE_MEDIA_TYPE,
    // Only this header: with the broker's own x-death it would take the way round for a loop and drop the message.
    headers: {[ATTEMPT_HEADER]: attempt + 1},
  });
  return 'scheduled';
};

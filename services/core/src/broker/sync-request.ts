import {z} from 'zod';
import {AppError} from '../errors/app-error.ts';
import type {BrokerNames} from './names.ts';
import type {Publisher} from './publisher.ts';

const syncRequestSchema = z.object({
  requestId: z.uuid(),
  deviceId: z.uuid(),
  /** ISO 8601, when it was asked for. */
  timestamp: z.iso.datetime(),
  syncType: z.enum(['full', 'delta']),
  priority: z.enum(['high', 'normal']),
});

/** Somebody's wish that a device syncs now. */
export type SyncRequest = Readonly<z.infer<typeof syncRequestSchema>>;

/** Resolves once the broker has the request. @throws what {@link Publisher}.publish throws. */
export const publishSyncRequest = (
  publisher: Pick<Publisher, 'publish'>,
  names: BrokerNames,
  request: SyncRequest,
): Promise<void> =>
  publisher.publish({
    exchange: names.requests.exchange,
    routingKey: request.priority,
    content: Buffer.from(JSON.stringify(request)),
    contentType: 'application/json',
  });

/** Puts a request aside for some seconds. The caller acks the original after this resolved. @throws what {@link Publisher}.publish throws */
export const publishLater = (
  publisher: Pick<Publisher, 'publish'>,
  {requests}: BrokerNames,
  {routingKey, content}: {readonly routingKey: string; readonly content: Buffer},
): Promise<void> =>
  publisher.publish({
    exchange: requests.later.exchange,
    routingKey,
    way: requests.later.queue,
    content,
    contentType: 'application/json',
  });

/** @throws AppError `invalid` when the message is no sync request; it can never become one. */
export const decodeSyncRequest = (content: Buffer): SyncRequest => {
  try {
    return syncRequestSchema.parse(JSON.parse(content.toString('utf8')));
  } catch (error) {
    throw new AppError('invalid', 'a message in the request queue is not a sync request', {cause: error});
  }
};

import {z} from 'zod';
import type {AuditEntry} from '@pisync/core/audit/audit-entry';
import type {SyncRequest} from '@pisync/core/broker/sync-request';
import {AppError} from '@pisync/core/errors/app-error';
import {actorOf} from '../audit/actor.ts';
import type {DeviceDirectory} from '../devices/device-directory.ts';
import {type Reply, route, type Route} from '../http/route.ts';

const successSchema = z.object({success: z.literal(true), requestId: z.uuid()});

export interface SyncRequestOptions {
  readonly directory: DeviceDirectory;
  /** Writes an entry of the audit on the shard of a slot. */
  readonly tell: (slot: number, entry: AuditEntry) => Promise<void>;
  /** Resolves when the broker has the request on disk. @throws AppError `broker-unavailable` or `broker-timeout`. */
  readonly publish: (request: SyncRequest) => Promise<void>;
  readonly newId: () => string;
  readonly now: () => number;
}

export const syncRequestRoute = ({directory, tell, publish, newId, now}: SyncRequestOptions): Route =>
  route(
    {
      method: 'post',
      path: '/api/v1/devices/{id}/sync',
      operationId: 'requestSync',
      summary: 'Ask a device to sync with its next call.',
      access: 'operate',
      params: z.strictObject({id: z.uuid()}),
      body: z.strictObject({
        syncType: z
          .enum(['full', 'delta'])
          .default('delta')
          .describe('full: everything that it has; delta: what is new.'),
        force: z.boolean().default(false).describe('Ahead of other requests.'),
      }),
      success: {
        status: 202,
        description: 'The broker has the request and cannot lose it.',
        schema: successSchema,
      },
      problems: {404: 'No such device.', 409: 'The device is revoked.'},
    },
    async ({params, body, principal, origin}): Promise<Reply<z.input<typeof successSchema>>> => {
      const deviceId = params.id.toLowerCase();
      const {revokedAt, slot, groupId} = await directory.get(deviceId, principal.scope);
      if (revokedAt !== null) throw new AppError('conflict', `The device ${deviceId} is revoked and cannot sync.`);
      const requestId = newId();
      const [syncType, priority] = [body.syncType, body.force ? 'high' : 'normal'] as const;
      // First, so that nothing is asked for that nobody knows of. Where the broker does not take it, it was asked for all the same.
      await tell(slot, {
        actor: actorOf(principal, origin),
        action: 'device.request-sync',
        object: {kind: 'device', id: deviceId},
        scope: [groupId],
        after: {requestId, syncType, priority},
      });
      await publish({requestId, deviceId, timestamp: new Date(now()).toISOString(), syncType, priority});
      return {body: {success: true, requestId}};
    },
  );

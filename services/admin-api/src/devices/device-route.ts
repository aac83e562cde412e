import {z} from 'zod';
import {route, type Route} from '../http/route.ts';
import {timestamp} from '../paging/page-schema.ts';
import type {DeviceDirectory} from './device-directory.ts';
import {deviceSchema} from './device-schema.ts';

/** One device. */
export const oneDevice = z.object({data: deviceSchema, asOf: timestamp});
type OneDevice = z.input<typeof oneDevice>;

/** What the ETag of a device is of, wherever it is answered. */
export const deviceTag = {
  // Not of `asOf`, which is another one each minute.
  tagged: ({data}: OneDevice): unknown => data,
  revision: ({data}: OneDevice): number => data.revision,
} as const;

export const deviceRoute = (directory: DeviceDirectory): Route =>
  route(
    {
      method: 'get',
      path: '/api/v1/devices/{id}',
      operationId: 'getDevice',
      summary: 'One device.',
      access: 'read',
      params: z.strictObject({id: z.uuid()}),
      success: {
        status: 200,
        description: 'The device; what syncs change is at most a minute old, `asOf` says when it was read.',
        schema: oneDevice,
      },
      ...deviceTag,
      problems: {404: 'No such device.'},
    },
    async ({params, principal}) => {
      const {device, asOf} = await directory.view(params.id, principal.scope);
      return {body: {data: device, asOf}};
    },
  );

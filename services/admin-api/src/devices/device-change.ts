import {z} from 'zod';
import {changeDevice, type ChangeRequest, MAX_TAGS} from '@pisync/core/devices/change-device';
import type {Groups} from '@pisync/core/devices/groups';
import {AppError} from '@pisync/core/errors/app-error';
import {isSeenText} from '@pisync/core/json/seen-text';
import {isStorableText} from '@pisync/core/json/storable';
import type {Shards} from '@pisync/core/shards/shards';
import {actorOf} from '../audit/actor.ts';
import {staticGroup} from '../groups/static-groups.ts';
import {etagOf} from '../http/etag.ts';
import {badMember, storableText} from '../http/parse.ts';
import {recordOf} from '../http/record-of.ts';
import {route, type Route} from '../http/route.ts';
import type {CredentialNews} from './credential-news.ts';
import {type DeviceDirectory, type ShownDevice, unknownDevice} from './device-directory.ts';
import {deviceTag, oneDevice} from './device-route.ts';

export interface DeviceChangeOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly directory: DeviceDirectory;
  readonly news: CredentialNews;
}

/** As many characters as a device may send of its own name, tags and their values. */
const [MAX_NAME, MAX_KEY, MAX_VALUE] = [128, 64, 256];
/** One call may replace all of a device's tags. */
const MAX_CHANGED_TAGS = 2 * MAX_TAGS;

const SEEN = 'has a character that is not seen, or a space at an end';
const name = storableText.min(1).max(MAX_NAME).refine(isSeenText, SEEN);

/** Undefined for the name of a tag that can be set, or can go: one that a device has given itself may be anything. */
const faultOfKey = (key: string, isSet: boolean): string | undefined => {
  if (!isStorableText(key)) return 'has a character that cannot be stored';
  if (key.length < 1 || key.length > MAX_KEY) return `is no name of a tag: it has 1 to ${MAX_KEY} characters`;
  return isSet && !isSeenText(key) ? SEEN : undefined;
};

const tags = recordOf(storableText.max(MAX_VALUE).nullable())
  .superRefine((changed, context) => {
    for (const [key, value] of Object.entries(changed)) {
      const message = faultOfKey(key, value !== null);
      if (message !== undefined) context.addIssue({code: 'custom', path: [key], message});
    }
  })
  .refine((changed) => Object.keys(changed).length <= MAX_CHANGED_TAGS, `names more than ${MAX_CHANGED_TAGS} tags`);

const changes = z
  .strictObject({
    name: name.nullable().optional().describe('Null: it has none, and is shown by its id.'),
    group: storableText.optional().describe('A static group that is there. The device moves to it.'),
    tags: tags
      .optional()
      .describe(`Tags to set, and those that go: null. Others stay. A device has ${MAX_TAGS} at most.`),
  })
  .refine((body) => Object.keys(body).length > 0, 'names nothing to change');

const params = z.strictObject({id: z.uuid()});

/** How a device is let in and shut out, by the last part of the operation's address. */
const STANDINGS = [
  {
    action: 'revoke',
    standing: 'revoked',
    summary: 'Shut a device out.',
    description:
      'It is shut out, within five seconds for every process, until it is reinstated. What it has sent stays.',
  },
  {
    action: 'decommission',
    standing: 'decommissioned',
    summary: 'Take a device out of service, and shut it out.',
    description:
      'It is out of service, until it is reinstated. What it has sent stays, and its hardware id is not free.',
  },
  {
    action: 'reinstate',
    standing: 'active',
    summary: 'Let a device in again that was revoked or decommissioned.',
    description: 'It is let in, with the secret that it had.',
  },
] as const;

/** What people change of a device. Each answers with the device as it is then, and is told to whoever remembers it. */
export const deviceChangeRoutes = ({shards, groups, directory, news}: DeviceChangeOptions): readonly Route[] => {
  const change = async (asked: Omit<ChangeRequest, 'groups'>): Promise<ShownDevice> => {
    const request = {...asked, groups: await groups.names()};
    const outcome = await changeDevice(shards, request).catch(async (error: unknown) => {
      // It may be made all the same: the answer to a commit can be lost.
      await news.tell(request.deviceId);
      throw error;
    });
    if (outcome.kind === 'absent') throw unknownDevice(request.deviceId);
    if (outcome.kind === 'too-many-tags') throw badMember('/tags', `a device has no more than ${MAX_TAGS} tags`);
    // Also of one that was so before: whoever changed it may not have been able to tell.
    await news.tell(request.deviceId);
    const shown = await directory.show(outcome.device);
    if (outcome.kind === 'stale') throw staleRevision(shown);
    return shown;
  };

  return [
    route(
      {
        method: 'patch',
        path: '/api/v1/devices/{id}',
        operationId: 'changeDevice',
        summary: 'Change the name, the group or tags of a device.',
        access: 'operate',
        params,
        body: changes,
        conditional: true,
        success: {status: 200, description: 'The device as it is now.', schema: oneDevice},
        ...deviceTag,
        problems: {404: 'No such device.'},
      },
      async ({params: {id}, body: {group, ...body}, principal, origin, revisions}) => {
        const {scope} = principal;
        const groupId = group === undefined ? undefined : await staticGroup(shards, group, scope, '/group');
        const {device, asOf} = await change({
          deviceId: id.toLowerCase(),
          change: {...body, groupId},
          scope,
          actor: actorOf(principal, origin),
          revisions,
        });
        return {body: {data: device, asOf}};
      },
    ),
    ...STANDINGS.map(({action, standing, summary, description}) =>
      route(
        {
          method: 'post',
          path: `/api/v1/devices/{id}/${action}`,
          operationId: `${action}Device`,
          summary,
          access: 'administer',
          params,
          success: {status: 200, description, schema: oneDevice},
          ...deviceTag,
          problems: {404: 'No such device.'},
        },
        async ({params: {id}, principal, origin}) => {
          const {device, asOf} = await change({
            deviceId: id.toLowerCase(),
            change: {standing},
            scope: principal.scope,
            actor: actorOf(principal, origin),
          });
          return {body: {data: device, asOf}};
        },
      ),
    ),
  ];
};

const staleRevision = ({device, asOf}: ShownDevice): AppError => {
  const body = {data: device, asOf};
  return new AppError(
    'precondition-failed',
    `Somebody has changed the device ${device.id} meanwhile: it has revision ${device.revision}. Look at it, and change it again.`,
    {headers: {ETag: etagOf(JSON.stringify(deviceTag.tagged(body)), deviceTag.revision(body))}},
  );
};

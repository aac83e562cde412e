import {z} from 'zod';
import {createEnrolmentTokens, type EnrolmentTokenRow} from '@pisync/core/tokens/enrolment-tokens';
import type {Shards} from '@pisync/core/shards/shards';
import {actorOf} from '../audit/actor.ts';
import {staticGroup} from '../groups/static-groups.ts';
import {storableText} from '../http/parse.ts';
import {route, type Route} from '../http/route.ts';
import type {Cursors} from '../paging/cursors.ts';
import {agentCommand, syncUrl} from './agent-command.ts';
import {newToken} from './new-token.ts';
import {creatorOf, expiryOf, madeBy, newTokenFields, timesOf, tokenFields, tokenRoutes} from './token-routes.ts';

export interface EnrolmentTokenRoutesOptions {
  readonly shards: Shards;
  readonly cursors: Cursors;
  /** Host name that devices use, where the region has one. */
  readonly deviceHost: () => string | undefined;
  readonly now: () => number;
  /** Grows with time. */
  readonly newTokenId: () => string;
}

const PATH = '/api/v1/enrolment-tokens';
/** As many as a region may be declared for. */
const MOST_DEVICES = 10_000_000;

const shown = z.object({
  ...tokenFields,
  group: z.string().describe('Devices that it lets in are in this group.'),
  maxDevices: z.int().nullable().describe('It lets in no more than so many; null: no limit.'),
  devices: z.int().describe('How many it has let in.'),
  state: z.enum(['valid', 'used-up', 'expired', 'revoked']),
});

const show = (row: EnrolmentTokenRow): z.input<typeof shown> => ({...row, ...timesOf(row)});

/** With these devices come into the region. */
export const enrolmentTokenRoutes = (options: EnrolmentTokenRoutesOptions): readonly Route[] => {
  const {shards, cursors, deviceHost, now, newTokenId} = options;
  const table = createEnrolmentTokens(shards);
  return [
    route(
      {
        method: 'post',
        path: PATH,
        operationId: 'createEnrolmentToken',
        summary: 'Make a token with which devices enrol.',
        access: 'administer',
        creates: true,
        body: z.strictObject({
          ...newTokenFields,
          group: storableText.describe('A static group that is there. Devices come into it.'),
          maxDevices: z.int().min(1).max(MOST_DEVICES).nullable().default(null).describe('Null: no limit.'),
        }),
        success: {
          status: 201,
          description: 'It is made. This answer alone has the token.',
          schema: z.object({
            token: z.string(),
            command: z
              .string()
              .nullable()
              .describe(
                'What makes a Raspberry Pi a device of the region. Null where the region has no host for devices.',
              ),
            data: shown,
          }),
        },
      },
      async ({body, principal, origin, callHash, reached}) => {
        const {group, name, maxDevices} = body;
        const expiresAt = expiryOf(body.expiresAt, principal.expiresAt, now());
        const groupId = await staticGroup(shards, group, principal.scope, '/group');
        const {token, hash} = newToken('enrolment');
        const id = newTokenId();
        const made = madeBy(
          id,
          await table.add(
            {id, hash, callHash, name, ...creatorOf(principal), expiresAt, groupId, maxDevices},
            actorOf(principal, origin),
          ),
        );
        const host = deviceHost();
        return {
          body: {
            token,
            command: host === undefined ? null : agentCommand(token, syncUrl(host, reached)),
            data: show(made),
          },
        };
      },
    ),
    ...tokenRoutes({
      path: PATH,
      name: 'EnrolmentToken',
      noun: 'enrolment token',
      table,
      shown,
      show,
      cursors,
      now,
    }),
  ];
};

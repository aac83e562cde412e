import {z} from 'zod';
import type {Scope} from '@pisync/core/devices/scope';
import {type ApiTokenRow, createApiTokens} from '@pisync/core/tokens/api-tokens';
import type {Shards} from '@pisync/core/shards/shards';
import {actorOf} from '../audit/actor.ts';
import {staticGroups} from '../groups/static-groups.ts';
import {storableText} from '../http/parse.ts';
import {route, type Route} from '../http/route.ts';
import type {Cursors} from '../paging/cursors.ts';
import {ROLES} from '../sessions/roles.ts';
import {newToken} from './new-token.ts';
import {creatorOf, expiryOf, madeBy, newTokenFields, timesOf, tokenFields, tokenRoutes} from './token-routes.ts';

export interface ApiTokenRoutesOptions {
  readonly shards: Shards;
  readonly cursors: Cursors;
  readonly now: () => number;
  /** Grows with time. */
  readonly newTokenId: () => string;
}

const PATH = '/api/v1/api-tokens';
/** Every list and count of a scoped token names all of them. */
const MOST_GROUPS = 50;

const shown = z.object({
  ...tokenFields,
  role: z.enum(ROLES),
  groups: z.array(z.string()).nullable().describe('It knows of devices of these groups alone; null: of all.'),
  state: z.enum(['valid', 'expired', 'revoked']),
});

const show = (row: ApiTokenRow): z.input<typeof shown> => ({
  ...row,
  ...timesOf(row),
  groups: row.groups === null ? null : [...row.groups],
});

/** With these people and scripts call the region. */
export const apiTokenRoutes = ({shards, cursors, now, newTokenId}: ApiTokenRoutesOptions): readonly Route[] => {
  const table = createApiTokens(shards);

  /** @throws AppError `bad-request` for groups that are not there, are none of the caller's, or are dynamic. */
  const scopeOf = async (names: readonly string[] | null, callers: Scope): Promise<Scope> => {
    if (names === null) return callers;
    const groupIds = await staticGroups(shards, names, callers, (index) => `/groups/${index}`);
    return [...new Set(groupIds)].sort((a, b) => a - b);
  };

  return [
    route(
      {
        method: 'post',
        path: PATH,
        operationId: 'createApiToken',
        summary: 'Make a token for a person or a script.',
        access: 'administer',
        creates: true,
        body: z.strictObject({
          ...newTokenFields,
          role: z.enum(ROLES),
          groups: z
            .array(storableText)
            .min(1)
            .max(MOST_GROUPS)
            .nullable()
            .default(null)
            .describe('Static groups that are there. Null: all groups that the caller knows of.'),
        }),
        success: {
          status: 201,
          description: 'It is made. This answer alone has the token.',
          schema: z.object({token: z.string(), data: shown}),
        },
      },
      async ({body, principal, origin, callHash}) => {
        const {name, role} = body;
        const expiresAt = expiryOf(body.expiresAt, principal.expiresAt, now());
        const scope = await scopeOf(body.groups, principal.scope);
        const {token, hash} = newToken('api');
        const id = newTokenId();
        const made = madeBy(
          id,
          await table.add(
            {id, hash, callHash, name, ...creatorOf(principal), expiresAt, role, scope},
            actorOf(principal, origin),
          ),
        );
        return {body: {token, data: show(made)}};
      },
    ),
    ...tokenRoutes({
      path: PATH,
      name: 'ApiToken',
      noun: 'API token',
      table,
      shown,
      show,
      cursors,
      now,
    }),
  ];
};

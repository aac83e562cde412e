import {randomBytes} from 'node:crypto';
import type {Groups} from '@pisync/core/devices/groups';
import {AppError} from '@pisync/core/errors/app-error';
import {deviceCondition} from '@pisync/core/filters/device-condition';
import {type FilterNode, parseFilter} from '@pisync/core/filters/parse-filter';
import {createGroupTable, type GroupRow, type GroupUses, MOST_GROUPS} from '@pisync/core/groups/group-table';
import {isSeenText} from '@pisync/core/json/seen-text';
import {countMatching} from '@pisync/core/queries/device-count';
import type {Shards} from '@pisync/core/shards/shards';
import {MAX_NAME_LENGTH} from '@pisync/core/tokens/token-name';
import {z} from 'zod';
import {actorOf} from '../audit/actor.ts';
import {requireIndexed} from '../filters/device-filter.ts';
import {etagOf} from '../http/etag.ts';
import {badMember, storableText} from '../http/parse.ts';
import {route, type Route} from '../http/route.ts';
import type {Cursors} from '../paging/cursors.ts';
import type {AskShards} from '../paging/fan-out.ts';
import {chosen, fieldsQuery, parseFields} from '../paging/fields.ts';
import {pageOf, pageQuery} from '../paging/page-schema.ts';
import type {Principal} from '../sessions/principal.ts';
import type {GroupCounts} from './group-counts.ts';
import {GROUP_FIELDS, groupSchema, groupTag, oneGroup, showGroup} from './group-schema.ts';

export interface GroupRoutesOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly askShards: AskShards;
  readonly cursors: Cursors;
  readonly counts: GroupCounts;
  readonly now: () => number;
}

const PATH = '/api/v1/groups';
const ONE = `${PATH}/{id}` as const;
const MAX_GROUP_ID = 2 ** 31 - 1;
/** So long each shard looks whether devices are in a group. */
const BUDGET_MS = 250;
const RETRY_SECONDS = 3;

const params = z.strictObject({
  id: z
    .string()
    .regex(/^[1-9]\d{0,9}$/, 'is no number of a group')
    .refine((text) => Number(text) <= MAX_GROUP_ID, 'is no number of a group'),
});
const name = storableText
  .min(1)
  .max(MAX_NAME_LENGTH)
  .refine(isSeenText, 'has a character that is not seen, or a space at an end')
  .describe('By which people and filters know it, and no other group. All of its characters are seen.');
const filter = storableText.describe(
  'What it finds, as `filter` of the list of devices. The groups that it asks for are static ones.',
);
const listed = groupSchema.partial().required({id: true});
const placeSchema = z.string();

/** How devices are grouped. Who has a token for some groups sees these, and changes none. */
export const groupRoutes = ({
  shards,
  groups,
  askShards,
  cursors,
  counts,
  now,
}: GroupRoutesOptions): readonly Route[] => {
  const table = createGroupTable(shards);

  const show = async (row: GroupRow) => {
    const asOf = new Date(now()).toISOString();
    const [count] = await counts.of([row]);
    if (count === undefined) throw new RangeError('a group has a count');
    return {data: {...showGroup(row, count), count}, asOf};
  };

  /** @throws AppError `conflict` where there are some; `shard-unavailable` where nobody can say */
  const requireEmpty = async (groupId: number): Promise<void> => {
    const {answers, missing} = await askShards(shards.ids(), (shard) =>
      countMatching(shards, {
        shard,
        condition: {kind: 'is', field: 'group', values: [groupId], not: false},
        budgetMs: BUDGET_MS,
        monotonic: () => performance.now(),
      }),
    );
    const devices = answers.reduce((sum, {value}) => sum + value.value, 0);
    const isExact = missing.length === 0 && answers.every(({value}) => value.isAll);
    if (devices > 0) {
      const many = `${isExact ? '' : 'at least '}${devices} ${devices === 1 ? 'device is' : 'devices are'}`;
      throw new AppError('conflict', `The group ${groupId} stays: ${many} in it. Move them to another group first.`);
    }
    if (isExact) return;
    throw new AppError('shard-unavailable', 'A shard does not say whether devices are in this group; try again.', {
      retryAfterSeconds: RETRY_SECONDS,
    });
  };

  return [
    route(
      {
        method: 'get',
        path: PATH,
        operationId: 'listGroups',
        summary: 'The groups, by name.',
        access: 'read',
        query: z.strictObject({
          ...pageQuery,
          kind: z.enum(['static', 'dynamic']).optional().describe('Only these.'),
          fields: fieldsQuery(GROUP_FIELDS),
        }),
        success: {status: 200, description: 'A page. Without `count` nothing is counted.', schema: pageOf(listed)},
      },
      async ({query: {cursor, limit, kind, ...query}, principal: {scope}}) => {
        const fields = parseFields(query.fields, GROUP_FIELDS, GROUP_FIELDS);
        const list = `${PATH} ${JSON.stringify([scope ?? null, kind ?? null])}`;
        const after = cursor === undefined ? undefined : await cursors.open(list, placeSchema, cursor);
        const asOf = new Date(now()).toISOString();
        const rows = await table.list(scope, {kind, after, limit: limit + 1});
        const [page, hasNextPage] = [rows.slice(0, limit), rows.length > limit];
        const counted = fields.includes('count') ? await counts.of(page) : [];
        const last = page.at(-1)?.name;
        return {
          body: {
            data: page.map((row, index) => chosen(showGroup(row, counted[index]), fields)),
            hasNextPage,
            nextCursor: hasNextPage && last !== undefined ? await cursors.seal(list, last) : null,
            asOf,
          },
        };
      },
    ),
    route(
      {
        method: 'post',
        path: PATH,
        operationId: 'createGroup',
        summary: 'Make a group.',
        access: 'administer',
        creates: true,
        body: z.strictObject({
          name,
          filter: filter
            .nullable()
            .default(null)
            .describe('Of a dynamic group: what it finds, as `filter` of the list of devices. Null: it is static.'),
        }),
        success: {status: 201, description: 'It is made.', schema: oneGroup},
      },
      async ({body, principal, origin, callHash}) => {
        requireAllGroups(principal);
        const wanted = {name: body.name, filter: body.filter === null ? undefined : parsedFilter(body.filter)};
        const outcome = await table.add({...wanted, callHash: callHash ?? randomBytes(32)}, actorOf(principal, origin));
        groups.forget();
        switch (outcome.kind) {
          case 'done':
            return {body: await show(outcome.group)};
          case 'repeated':
            throw new AppError(
              'conflict',
              `The group ${outcome.group.groupId} was made by a call with this Idempotency-Key.`,
              {extra: {id: outcome.group.groupId}},
            );
          default:
            throw refusalOf(outcome.kind, body.name);
        }
      },
    ),
    route(
      {
        method: 'get',
        path: ONE,
        operationId: 'getGroup',
        summary: 'One group.',
        access: 'read',
        params,
        success: {status: 200, description: 'The group, with how many devices it has.', schema: oneGroup},
        ...groupTag,
        problems: {404: 'No such group.'},
      },
      async ({params: {id}, principal}) => {
        const row = await table.find(principal.scope, Number(id));
        if (row === undefined) throw unknownGroup(id);
        return {body: await show(row)};
      },
    ),
    route(
      {
        method: 'patch',
        path: ONE,
        operationId: 'changeGroup',
        summary: 'Change the name of a group, or the filter of a dynamic one.',
        access: 'administer',
        params,
        body: z
          .strictObject({name: name.optional(), filter: filter.optional()})
          .refine((body) => Object.keys(body).length > 0, 'names nothing to change'),
        conditional: true,
        success: {status: 200, description: 'The group as it is now.', schema: oneGroup},
        ...groupTag,
        problems: {404: 'No such group.', 409: 'Another group has this name.'},
      },
      async ({params: {id}, body, principal, origin, revisions}) => {
        requireAllGroups(principal);
        const change = {name: body.name, filter: body.filter === undefined ? undefined : parsedFilter(body.filter)};
        const actor = actorOf(principal, origin);
        const outcome = await table.change({groupId: Number(id), change, revisions, actor});
        groups.forget();
        switch (outcome.kind) {
          case 'done':
            return {body: await show(outcome.group)};
          case 'stale':
            throw stale(await show(outcome.group));
          case 'absent':
            throw unknownGroup(id);
          default:
            throw refusalOf(outcome.kind, body.name ?? '');
        }
      },
    ),
    route(
      {
        method: 'delete',
        path: ONE,
        operationId: 'deleteGroup',
        summary: 'Delete a group that nothing goes by.',
        access: 'administer',
        params,
        success: {status: 204, description: 'It is deleted.'},
        problems: {
          404: 'No such group.',
          409: 'Devices are in it, tokens that work are for it, or a dynamic group asks for it; or it is the group of the token of the Secret.',
        },
      },
      async ({params: {id}, principal, origin}) => {
        requireAllGroups(principal);
        const groupId = Number(id);
        const outcome = await table.remove(groupId, actorOf(principal, origin), () => requireEmpty(groupId));
        groups.forget();
        switch (outcome.kind) {
          case 'done':
            return {body: undefined};
          case 'absent':
            throw unknownGroup(id);
          case 'default':
            throw new AppError('conflict', `The group ${id} stays: devices with the token of the Secret come into it.`);
          case 'in-use':
            throw new AppError('conflict', `The group ${id} stays: ${usesInWords(outcome)}.`);
        }
      },
    ),
  ];
};

/** What is of the region as a whole is not for who knows of a part of it. */
const requireAllGroups = ({scope}: Principal): void => {
  if (scope === undefined) return;
  throw new AppError('forbidden', 'Groups are made, changed and deleted with a token for all groups.');
};

/** @throws AppError `bad-request` where a list would refuse it, and where it asks for nothing */
const parsedFilter = (text: string): FilterNode => {
  const node = parseFilter(text);
  if (node === undefined) throw badMember('/filter', 'asks for nothing');
  // Which groups there are is looked up where it is saved.
  const groups = {idOf: () => 0, filterOf: () => undefined};
  requireIndexed(deviceCondition(node, {nowMs: 0, groups}));
  return node;
};

const unknownGroup = (id: string): AppError =>
  new AppError('not-found', `There is no group ${id}, as far as this token may see.`);

const refusalOf = (kind: 'name-taken' | 'too-many' | 'absent' | 'is-static', wantedName: string): AppError => {
  switch (kind) {
    case 'name-taken':
      return new AppError('conflict', `There is a group "${wantedName}" already.`, {
        errors: [{pointer: '/name', detail: 'is the name of another group'}],
      });
    case 'is-static':
      return badMember('/filter', 'is for dynamic groups; this one is static, and has the devices that are in it');
    case 'too-many':
      return new AppError(
        'conflict',
        `A region has ${MOST_GROUPS.living} groups at most, ${MOST_GROUPS.dynamic} of them dynamic; and ${MOST_GROUPS.rows} with those that were deleted within 30 days.`,
      );
    case 'absent':
      return new AppError('internal', 'a group that was written is not there');
  }
};

const usesInWords = ({enrolmentTokens, apiTokens, dynamicGroups}: GroupUses): string => {
  const tokens = (count: number, kind: string): readonly string[] =>
    count === 0
      ? []
      : [`${count} ${kind} ${count === 1 ? 'token is' : 'tokens are'} for it; revoke ${count === 1 ? 'it' : 'them'}`];
  return [
    ...tokens(enrolmentTokens, 'enrolment'),
    ...tokens(apiTokens, 'API'),
    ...(dynamicGroups.length === 0
      ? []
      : [
          `${dynamicGroups
            .slice(0, 5)
            .map((one) => `"${one}"`)
            .join(
              ', ',
            )}${dynamicGroups.length > 5 ? ` and ${dynamicGroups.length - 5} more` : ''} ${dynamicGroups.length === 1 ? 'asks' : 'ask'} for it; change ${dynamicGroups.length === 1 ? 'its filter' : 'their filters'}`,
        ]),
  ].join('. And ');
};

const stale = (body: z.input<typeof oneGroup>): AppError =>
  new AppError(
    'precondition-failed',
    `Somebody has changed the group ${body.data.id} meanwhile: it has revision ${body.data.revision}. Look at it, and change it again.`,
    {headers: {ETag: etagOf(JSON.stringify(groupTag.tagged(body)), groupTag.revision(body))}},
  );

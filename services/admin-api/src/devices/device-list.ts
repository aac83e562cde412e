import {z} from 'zod';
import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import {AppError} from '@pisync/core/errors/app-error';
import {isStorableText} from '@pisync/core/json/storable';
import type {Groups} from '@pisync/core/devices/groups';
import type {Shards} from '@pisync/core/shards/shards';
import {onShard} from '@pisync/core/filters/device-condition';
import {goesByRecency, listDevices, recencyAsOf} from '@pisync/core/queries/device-list';
import {comparePlaces, DEVICE_SORTS, type DeviceOrder, type Place} from '@pisync/core/queries/device-order';
import {filterText, parseDeviceFilter} from '../filters/device-filter.ts';
import {route, type Route} from '../http/route.ts';
import {type Cursors, packPositions, positionsSchema, unpackPositions} from '../paging/cursors.ts';
import {type AskShards, shardNames} from '../paging/fan-out.ts';
import {fieldsQuery, parseFields} from '../paging/fields.ts';
import {mergePages, type Positions} from '../paging/merge.ts';
import {pageOf, pageQuery, timestamp} from '../paging/page-schema.ts';
import type {Census} from '../region/census.ts';
import {countDevicesOf, countSchema} from './count-devices.ts';
import {groupsIn, listCondition} from './list-condition.ts';
import {columnsFor, DEFAULT_FIELDS, DEVICE_VIEW_FIELDS, deviceSchema, viewOf} from './device-schema.ts';

export interface DeviceListOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly askShards: AskShards;
  readonly cursors: Cursors;
  readonly census: Census;
  readonly now: () => number;
}

const listedDevice = deviceSchema.partial().required({id: true});

const devicePage = pageOf(listedDevice).extend({
  count: countSchema.optional().describe('How many the list has, where `count=true` asks for it.'),
  sortedAsOf: timestamp
    .nullable()
    .optional()
    .describe(
      'Where the list goes by lastSync or lastSeen: as of when, because it is a minute or so behind what is shown. Null while a shard has never been looked at.',
    ),
});

/** @throws AppError `bad-request` that lists what is known. */
const parseSort = (text = 'id'): DeviceOrder => {
  const descending = text.startsWith('-');
  const by = DEVICE_SORTS.find((sort) => sort === (descending ? text.slice(1) : text));
  if (by !== undefined) return {by, descending};
  const detail = `knows no "${text.slice(0, 40)}"; known are ${DEVICE_SORTS.join(', ')}, each with or without a - before it`;
  throw new AppError('bad-request', `The parameter sort ${detail}.`, {errors: [{pointer: '/sort', detail}]});
};

/** Null where one is not known. */
const oldest = (times: readonly (Date | null)[]): string | null => {
  const ms = times.map((time) => time?.getTime() ?? NaN);
  const least = Math.min(...ms);
  return Number.isFinite(least) ? new Date(least).toISOString() : null;
};

const placeSchema = z.object({value: z.string().nullable(), id: z.string()});
/** Relative times stay what they were on the first page. */
const startSchema = z.strictObject({nowMs: z.number(), positions: positionsSchema(placeSchema)});

/** Devices over all shards. */
export const deviceListRoute = ({shards, groups, askShards, cursors, census, now}: DeviceListOptions): Route =>
  route(
    {
      method: 'get',
      path: '/api/v1/devices',
      operationId: 'listDevices',
      summary: 'Devices that a filter and a search find, sorted, page by page.',
      access: 'read',
      query: z.strictObject({
        ...pageQuery,
        filter: z
          .string()
          .optional()
          .describe(
            'Conditions joined by `;` (and), `,` (or) and parentheses: `status==late;tags.site=in=(oak,elm);lastSync<-P2D`. docs/api/admin.md has the grammar.',
          ),
        q: z
          .string()
          .max(128)
          .refine(isStorableText, 'has a character that cannot be stored')
          .optional()
          .describe(
            'A part of the name or of the hardware id, or how the id begins. One or two characters, and a text without a letter or digit behind its first character: how one of them begins.',
          ),
        sort: z
          .string()
          .optional()
          .describe(
            `What they are sorted by: ${DEVICE_SORTS.join(', ')}; with a - before it the other way round. Without it: id.`,
          ),
        status: z
          .string()
          .optional()
          .meta({description: 'Short for `filter=status==…`.', enum: [...DEVICE_STATUSES]}),
        group: z.string().optional().describe('Short for `filter=group==…`.'),
        count: z.enum(['true', 'false']).default('false').describe('Whether to say how many the list has.'),
        fields: fieldsQuery(DEVICE_VIEW_FIELDS),
      }),
      success: {status: 200, description: 'A page.', schema: devicePage},
    },
    async ({query, principal: {scope}}) => {
      const filter = parseDeviceFilter(query);
      const fields = parseFields(query.fields, DEVICE_VIEW_FIELDS, DEFAULT_FIELDS);
      const order = parseSort(query.sort);
      const names = await groups.names();
      const list = `devices ${JSON.stringify([scope ?? null, query.q ?? '', order.by, order.descending])} ${filterText(filter, groupsIn(scope, names))}`;
      const atMs = now();
      const start = query.cursor === undefined ? undefined : await cursors.open(list, startSchema, query.cursor);
      const before: Positions<Place> =
        start === undefined ? new Map<number, Place>() : unpackPositions(start.positions);
      const nowMs = start?.nowMs ?? atMs;
      const condition = listCondition({scope, q: query.q, filter, world: {nowMs, groups: names}});
      const asked = shards.ids().filter((shard) => onShard(condition, shard).kind !== 'never');
      const isBehind = goesByRecency(condition, order);
      const {answers, missing} = await askShards(asked, async (shard, leftMs) => ({
        // Before the rows: they are no older than it says.
        recencyAsOf: isBehind ? await recencyAsOf(shards, shard, leftMs) : null,
        ...(await listDevices(shards, {
          shard,
          condition,
          order,
          after: before.get(shard),
          limit: query.limit + 1,
          fields: columnsFor(fields),
          shardsAsked: asked.length,
          leftMs,
        })),
      }));
      const page = mergePages(
        answers.map(({shard, value}) => ({shard, ...value})),
        {
          placeOf: (row) => ({value: row.sortValue, id: row.deviceId}),
          compare: comparePlaces(order),
          limit: query.limit,
          before,
        },
      );
      const total = async () => {
        if (start !== undefined || page.hasNextPage || missing.length > 0)
          return countDevicesOf({shards, askShards, census, now, condition, asked});
        return {value: page.rows.length, exact: true, atLeast: false, asOf: new Date(atMs).toISOString()};
      };
      const goesOn = page.hasNextPage || missing.length > 0;
      return {
        body: {
          data: page.rows.map((row) => viewOf(row, fields, names)),
          hasNextPage: page.hasNextPage,
          nextCursor: goesOn ? await cursors.seal(list, {nowMs, positions: packPositions(page.positions)}) : null,
          asOf: new Date(atMs).toISOString(),
          ...(query.count === 'true' ? {count: await total()} : {}),
          ...(isBehind ? {sortedAsOf: oldest(answers.map(({value}) => value.recencyAsOf))} : {}),
          ...(missing.length === 0 ? {} : {partial: shardNames(missing)}),
        },
      };
    },
  );

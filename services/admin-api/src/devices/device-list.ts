import {z} from 'zod';
import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import type {Groups} from '@pisync/core/devices/groups';
import type {Shards} from '@pisync/core/shards/shards';
import {onShard} from '@pisync/core/filters/device-condition';
import {listDevices} from '@pisync/core/queries/device-list';
import {comparePlaces, type DeviceOrder, type Place} from '@pisync/core/queries/device-order';
import {filterText, parseDeviceFilter} from '../filters/device-filter.ts';
import {route, type Route} from '../http/route.ts';
import {type Cursors, packPositions, positionsSchema, unpackPositions} from '../paging/cursors.ts';
import {type AskShards, shardNames} from '../paging/fan-out.ts';
import {fieldsQuery, parseFields} from '../paging/fields.ts';
import {mergePages, type Positions} from '../paging/merge.ts';
import {pageOf, pageQuery} from '../paging/page-schema.ts';
import {listCondition} from './list-condition.ts';
import {columnsFor, DEFAULT_FIELDS, DEVICE_VIEW_FIELDS, deviceSchema, viewOf} from './device-schema.ts';

export interface DeviceListOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly askShards: AskShards;
  readonly cursors: Cursors;
  readonly now: () => number;
}

const listedDevice = deviceSchema.partial().required({id: true});

const placeSchema = z.object({value: z.string().nullable(), id: z.string()});
/** Relative times stay what they were on the first page. */
const startSchema = z.strictObject({nowMs: z.number(), positions: positionsSchema(placeSchema)});

/** Devices in the order of their ids over all shards. */
export const deviceListRoute = ({shards, groups, askShards, cursors, now}: DeviceListOptions): Route =>
  route(
    {
      method: 'get',
      path: '/api/v1/devices',
      operationId: 'listDevices',
      summary: 'Devices in the order of their ids, page by page.',
      access: 'read',
      query: z.strictObject({
        ...pageQuery,
        filter: z
          .string()
          .optional()
          .describe(
            'Conditions joined by `;` (and), `,` (or) and parentheses: `status==late;tags.site=in=(oak,elm);lastSync<-P2D`. docs/api/admin.md has the grammar.',
          ),
        status: z
          .string()
          .optional()
          .meta({description: 'Short for `filter=status==…`.', enum: [...DEVICE_STATUSES]}),
        group: z.string().optional().describe('Short for `filter=group==…`.'),
        fields: fieldsQuery(DEVICE_VIEW_FIELDS),
      }),
      success: {status: 200, description: 'A page.', schema: pageOf(listedDevice)},
    },
    async ({query, principal: {scope}}) => {
      const filter = parseDeviceFilter(query);
      const fields = parseFields(query.fields, DEVICE_VIEW_FIELDS, DEFAULT_FIELDS);
      const order: DeviceOrder = {by: 'id', descending: false};
      const list = `devices ${JSON.stringify(scope ?? null)} ${filterText(filter)}`;
      const atMs = now();
      const start = query.cursor === undefined ? undefined : await cursors.open(list, startSchema, query.cursor);
      const before: Positions<Place> =
        start === undefined ? new Map<number, Place>() : unpackPositions(start.positions);
      const nowMs = start?.nowMs ?? atMs;
      const names = await groups.names();
      const condition = listCondition({scope, filter, world: {nowMs, groups: names}});
      const asked = shards.ids().filter((shard) => onShard(condition, shard).kind !== 'never');
      const {answers, missing} = await askShards(asked, (shard) =>
        listDevices(shards, {
          shard,
          condition,
          order,
          after: before.get(shard),
          limit: query.limit + 1,
          fields: columnsFor(fields),
          shardsAsked: asked.length,
        }),
      );
      const page = mergePages(
        answers.map(({shard, value}) => ({shard, ...value})),
        {
          placeOf: (row) => ({value: row.sortValue, id: row.deviceId}),
          compare: comparePlaces(order),
          limit: query.limit,
          before,
        },
      );
      const goesOn = page.hasNextPage || missing.length > 0;
      return {
        body: {
          data: page.rows.map((row) => viewOf(row, fields, names)),
          hasNextPage: page.hasNextPage,
          nextCursor: goesOn ? await cursors.seal(list, {nowMs, positions: packPositions(page.positions)}) : null,
          asOf: new Date(atMs).toISOString(),
          ...(missing.length === 0 ? {} : {partial: shardNames(missing)}),
        },
      };
    },
  );

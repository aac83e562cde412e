import {z} from 'zod';
import {type DeviceField, listDevices} from '@pisync/core/queries/devices';
import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import type {GroupNames, Groups} from '@pisync/core/devices/groups';
import {isInScope, type Scope} from '@pisync/core/devices/scope';
import type {Shards} from '@pisync/core/shards/shards';
import {canonicalFilter, parseDeviceFilter} from '../filters/device-filter.ts';
import {route, type Route} from '../http/route.ts';
import {type Cursors, packPositions, positionsSchema, unpackPositions} from '../paging/cursors.ts';
import {type AskShards, shardNames} from '../paging/fan-out.ts';
import {fieldsQuery, parseFields} from '../paging/fields.ts';
import {mergePages, type Positions} from '../paging/merge.ts';
import {pageOf, pageQuery} from '../paging/page-schema.ts';
import {columnsFor, DEFAULT_FIELDS, DEVICE_VIEW_FIELDS, deviceSchema, viewOf} from './device-schema.ts';

export interface DeviceListOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly askShards: AskShards;
  readonly cursors: Cursors;
  readonly now: () => number;
}

const listedDevice = deviceSchema.partial().required({id: true});

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
          .describe('Conditions joined by `;`: `status==late;group=="north & south";shard==1`.'),
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
      const list = `devices ${canonicalFilter(filter, scope)}`;
      const before: Positions =
        query.cursor === undefined
          ? new Map<number, string>()
          : unpackPositions(await cursors.open(list, positionsSchema, query.cursor));
      const columns: readonly DeviceField[] = columnsFor(fields);
      const names = await groups.names();
      const groupIds = filter.group === undefined ? scope : groupsNamed(filter.group, names, scope);
      const isEmpty = groupIds?.length === 0;
      const asked = shards.ids().filter((shard) => !isEmpty && (filter.shard === undefined || filter.shard === shard));
      const asOf = new Date(now()).toISOString();
      const {answers, missing} = await askShards(asked, (shard) =>
        listDevices(shards, {
          shard,
          filter: {status: filter.status, groupIds},
          after: before.get(shard),
          limit: query.limit + 1,
          fields: columns,
          shardsAsked: asked.length,
        }),
      );
      const page = mergePages(
        answers.map(({shard, value}) => ({shard, ...value})),
        (row) => row.deviceId,
        query.limit,
        before,
      );
      const goesOn = page.hasNextPage || missing.length > 0;
      return {
        body: {
          data: page.rows.map((row) => viewOf(row, fields, names)),
          hasNextPage: page.hasNextPage,
          nextCursor: goesOn ? await cursors.seal(list, packPositions(page.positions)) : null,
          asOf,
          ...(missing.length === 0 ? {} : {partial: shardNames(missing)}),
        },
      };
    },
  );

/** Nothing is in a group that is not there, or that is none of the caller's. */
const groupsNamed = (name: string, names: GroupNames, scope: Scope): readonly number[] => {
  const groupId = names.idOf(name);
  return groupId === undefined || !isInScope(scope, groupId) ? [] : [groupId];
};

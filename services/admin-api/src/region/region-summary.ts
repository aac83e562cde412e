import type {Groups} from '@pisync/core/devices/groups';
import {route, type Route} from '../http/route.ts';
import type {Census} from './census.ts';
import {summarise, summarySchema} from './summary.ts';

export interface RegionSummaryOptions {
  readonly census: Census;
  readonly groups: Groups;
  readonly region: () => string;
  readonly now: () => number;
}

export const regionSummaryRoute = ({census, groups, region, now}: RegionSummaryOptions): Route =>
  route(
    {
      method: 'get',
      path: '/api/v1/region/summary',
      operationId: 'getRegionSummary',
      summary: 'How many devices are in which state, by group and by shard.',
      access: 'read',
      success: {
        status: 200,
        description: 'Counts with their age: at most five minutes, but for shards that do not answer.',
        schema: summarySchema,
      },
    },
    async ({principal}) => {
      const counted = await census.current();
      const ageSeconds = Math.floor(Math.max(0, now() - Date.parse(counted.asOf)) / 1000);
      return {body: {region: region(), ...summarise(counted, await groups.names(), principal.scope), ageSeconds}};
    },
  );

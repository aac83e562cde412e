import {CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import {countDevices} from '@pisync/core/queries/devices';
import type {Groups} from '@pisync/core/devices/groups';
import type {Shards} from '@pisync/core/shards/shards';
import {type CacheAccess, readCached, writeCached} from '../caching/read-through.ts';
import {route, type Route} from '../http/route.ts';
import type {AskShards} from '../paging/fan-out.ts';
import {type Counted, countedSchema, summarise, summarySchema} from './summary.ts';

const KEY = cacheKey.aggregate('summary');
/** A count in which shards are missing is wrong as soon as they are back. */
const PARTIAL_TTL_SECONDS = 5;
/** From this age on a reader still gets the old count at once, and sets a new one off for the next reader. */
const REFRESH_AFTER_MS = 15_000;

export interface RegionSummaryOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly askShards: AskShards;
  readonly cache: CacheAccess;
  readonly region: () => string;
  readonly now: () => number;
  readonly onRefreshFailed: (error: unknown) => void;
}

export const regionSummaryRoute = (options: RegionSummaryOptions): Route => {
  const {shards, groups, askShards, cache, region, now} = options;
  const singleFlight = createSingleFlight<Counted>();

  const count = (): Promise<Counted> =>
    singleFlight(KEY, async () => {
      const asOf = new Date(now()).toISOString();
      const {answers, missing} = await askShards(shards.ids(), (shard) => countDevices(shards, shard));
      const counted = summarise(answers, await groups.names(), missing, asOf);
      await writeCached(cache, KEY, counted, missing.length === 0 ? CACHE_TTL_SECONDS.aggregate : PARTIAL_TTL_SECONDS);
      return counted;
    });

  return route(
    {
      method: 'get',
      path: '/api/v1/region/summary',
      operationId: 'getRegionSummary',
      summary: 'How many devices are in which state, by group and by shard.',
      access: 'read',
      success: {status: 200, description: 'Counts with their age, at most five minutes.', schema: summarySchema},
    },
    async () => {
      const known = await readCached(cache, KEY, countedSchema);
      const counted = known ?? (await count());
      const ageMs = Math.max(0, now() - Date.parse(counted.asOf));
      if (known !== undefined && ageMs > REFRESH_AFTER_MS) count().catch(options.onRefreshFailed);
      return {body: {region: region(), ...counted, ageSeconds: Math.floor(ageMs / 1000)}};
    },
  );
};

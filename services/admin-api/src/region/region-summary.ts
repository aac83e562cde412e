import {CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import {countDevices} from '@pisync/core/queries/devices';
import type {Groups} from '@pisync/core/devices/groups';
import type {Shards} from '@pisync/core/shards/shards';
import {type CacheAccess, readCached, writeCached} from '../caching/read-through.ts';
import {route, type Route} from '../http/route.ts';
import type {AskShards} from '../paging/fan-out.ts';
import {type Counted, countedNow, countedSchema, summarise, summarySchema} from './summary.ts';

const KEY = cacheKey.aggregate('summary');
/** From this age on a reader still gets the old count at once, and sets a new one off for the next reader. */
const REFRESH_AFTER_MS = 15_000;
/** A count in which shards are missing is wrong as soon as they are back. */
const REFRESH_PARTIAL_AFTER_MS = 5_000;
/** Nobody looked for so long: then he waits for a new one. */
const MAX_AGE_MS = 300_000;

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
  /** Of this process, for shards that do not answer while Redis does not either. */
  let last: Counted | undefined;

  const count = (): Promise<Counted> =>
    singleFlight(KEY, async () => {
      const asOf = new Date(now()).toISOString();
      const ids = shards.ids();
      const {answers} = await askShards(ids, (shard) => countDevices(shards, shard));
      // Read after the answers: another process may have counted meanwhile.
      const before = (await readCached(cache, KEY, countedSchema)) ?? last;
      last = countedNow(ids, answers, before, asOf);
      await writeCached(cache, KEY, last, CACHE_TTL_SECONDS.aggregate);
      return last;
    });

  return route(
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
      const known = await readCached(cache, KEY, countedSchema);
      const ageOf = ({asOf}: Counted): number => Math.max(0, now() - Date.parse(asOf));
      const isKnown = known !== undefined && ageOf(known) <= MAX_AGE_MS;
      const counted = isKnown ? known : await count();
      const ageMs = ageOf(counted);
      const refreshAfterMs = counted.missing.length === 0 ? REFRESH_AFTER_MS : REFRESH_PARTIAL_AFTER_MS;
      if (isKnown && ageMs > refreshAfterMs) count().catch(options.onRefreshFailed);
      return {
        body: {
          region: region(),
          ...summarise(counted, await groups.names(), principal.scope),
          ageSeconds: Math.floor(ageMs / 1000),
        },
      };
    },
  );
};

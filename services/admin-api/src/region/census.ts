import {CACHE_TTL_SECONDS, cacheKey} from '@pisync/core/cache/cache-keys';
import {createSingleFlight} from '@pisync/core/cache/single-flight';
import {countDevices} from '@pisync/core/queries/devices';
import type {Shards} from '@pisync/core/shards/shards';
import {type CacheAccess, readCached, writeCached} from '../caching/read-through.ts';
import type {AskShards} from '../paging/fan-out.ts';
import {type Counted, countedNow, countedSchema} from './summary.ts';

const KEY = cacheKey.aggregate('summary');
/** From this age on a reader still gets the old count at once, and sets a new one off for the next reader. */
const REFRESH_AFTER_MS = 15_000;
/** A count in which shards are missing is wrong as soon as they are back. */
const REFRESH_PARTIAL_AFTER_MS = 5_000;
/** Nobody looked for so long: then he waits for a new one. */
const MAX_AGE_MS = 300_000;

export interface CensusOptions {
  readonly shards: Shards;
  readonly askShards: AskShards;
  readonly cache: CacheAccess;
  readonly now: () => number;
  readonly onRefreshFailed: (error: unknown) => void;
}

/** How many devices each shard has by group and status, as all processes counted them last. */
export interface Census {
  /** At most five minutes old, but for shards that do not answer. */
  current(): Promise<Counted>;
}

export const createCensus = ({shards, askShards, cache, now, onRefreshFailed}: CensusOptions): Census => {
  const singleFlight = createSingleFlight<Counted>();
  /** Of this process, for shards that do not answer while Redis does not either. */
  let last: Counted | undefined;

  const count = (): Promise<Counted> =>
    singleFlight(KEY, async () => {
      const asOf = new Date(now()).toISOString();
      const ids = shards.ids();
      const {answers} = await askShards(ids, (shard, leftMs) => countDevices(shards, shard, leftMs));
      // Read after the answers: another process may have counted meanwhile.
      const before = (await readCached(cache, KEY, countedSchema)) ?? last;
      last = countedNow(ids, answers, before, asOf);
      await writeCached(cache, KEY, last, CACHE_TTL_SECONDS.aggregate);
      return last;
    });

  return {
    async current() {
      const known = await readCached(cache, KEY, countedSchema);
      const ageMs = known === undefined ? Infinity : now() - Date.parse(known.asOf);
      if (known === undefined || ageMs > MAX_AGE_MS) return count();
      const refreshAfterMs = known.missing.length === 0 ? REFRESH_AFTER_MS : REFRESH_PARTIAL_AFTER_MS;
      if (ageMs > refreshAfterMs) count().catch(onRefreshFailed);
      return known;
    },
  };
};

import {type Policy} from '@pisync/agent/client/wire';

/** What devices are told: no compression, which works in threads whose time is not ours, and shorter waits, because a run is short. */
export const POLICY: Policy = {maxRecords: 6, compress: 'none', backoff: {base: 2, cap: 60, edgeJitter: 4}, homes: []};

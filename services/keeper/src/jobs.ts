import {bringRecencyUpToDate} from '@pisync/core/devices/recency-pass';
import {sweepStatuses} from '@pisync/core/devices/status-sweep';
import {type Fence} from '@pisync/core/shards/keeper-term';
import {ensurePartitionsAhead} from '@pisync/core/shards/partitions';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {removeEndedTokens} from '@pisync/core/tokens/remove-ended';
import {type Job} from './schedule.ts';

export interface JobsOptions {
  readonly pool: () => ReturnType<Shards['pool']>;
  readonly fence: Fence;
  readonly log: Logger;
}

const MINUTE_MS = 60_000;

/** What the acting keeper does for a shard: nothing of it needs another one, and all of it is safe to repeat. */
export const createJobs = ({pool, fence, log}: JobsOptions): readonly Job[] => [
  {
    name: 'partitions',
    everyMs: 60 * MINUTE_MS,
    async run(signal) {
      const created = await ensurePartitionsAhead(pool(), {fence, signal});
      if (created.length > 0) log.info({created}, 'made day partitions ahead');
    },
  },
  {
    name: 'statuses',
    everyMs: MINUTE_MS,
    async run(signal) {
      const changed = await sweepStatuses(pool(), {fence, signal});
      if (changed > 0) log.info({changed}, 'devices changed status by time');
    },
  },
  {
    name: 'recency',
    everyMs: MINUTE_MS,
    async run(signal) {
      await bringRecencyUpToDate(pool(), {fence, signal});
    },
  },
];

/** Beside that for shard 0, which has the control schema. */
export const createControlJobs = ({pool, fence, log}: JobsOptions): readonly Job[] => [
  {
    name: 'tokens',
    everyMs: 60 * MINUTE_MS,
    async run(signal) {
      const removed = await removeEndedTokens(pool(), {fence, signal});
      if (removed > 0) log.info({removed}, 'removed tokens that ended a month ago, and their places');
    },
  },
];

import {addCounts, NO_DEVICES} from '@pisync/core/devices/device-status';
import {AppError, describeError} from '@pisync/core/errors/app-error';
import {BY_NUMBER, deviceCondition, onShard} from '@pisync/core/filters/device-condition';
import {readSavedFilter} from '@pisync/core/filters/saved-filter';
import {type GroupRow, MOST_GROUPS} from '@pisync/core/groups/group-table';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';
import {countMatching} from '@pisync/core/queries/device-count';
import type {Shards} from '@pisync/core/shards/shards';
import {fromCensus} from '../devices/count-devices.ts';
import type {AskShards} from '../paging/fan-out.ts';
import type {Census} from '../region/census.ts';
import {type Counted, countByStatus} from '../region/summary.ts';
import type {GroupCount} from './group-schema.ts';

export interface GroupCountsOptions {
  readonly shards: Shards;
  readonly askShards: AskShards;
  readonly census: Census;
  readonly now: () => number;
  readonly onRefreshFailed: (error: unknown) => void;
}

/** How many devices groups have, by status. */
export interface GroupCounts {
  /** In the order of the groups. Static ones are as the census has them. What of the dynamic ones cannot be counted in time is as it was, or not known at all. */
  of(groups: readonly GroupRow[]): Promise<readonly GroupCount[]>;
}

/** So long a shard counts for one group, as for one list. */
const BUDGET_MS = 250;
/** So long a reader waits for all groups of a page together. */
const PATIENCE_MS = 1_500;
/** A count is not made again before. */
const FRESH_MS = 30_000;
const LATE = 'the groups were not counted in time';

interface Known {
  readonly revision: number;
  readonly count: GroupCount;
  readonly atMs: number;
}

/** Whoever asks, and for however many groups: this process counts one dynamic group at a time, so counting costs a shard no more than one list does. */
export const createGroupCounts = ({
  shards,
  askShards,
  census,
  now,
  onRefreshFailed,
}: GroupCountsOptions): GroupCounts => {
  /** By number, the one that was counted last at the end. */
  const known = new Map<number, Known>();
  const waiting = new Map<string, Promise<GroupCount | undefined>>();
  let turn: Promise<unknown> = Promise.resolve();

  const unknown = (): GroupCount => ({...NOTHING, atLeast: true, asOf: new Date(now()).toISOString()});

  /** Undefined where that cannot be done now. */
  const count = async (saved: string): Promise<GroupCount | undefined> => {
    const nowMs = now();
    const filter = readSavedFilter(saved);
    if (filter === undefined) return undefined;
    try {
      const condition = deviceCondition(filter, {nowMs, groups: BY_NUMBER});
      const asked = shards.ids().filter((shard) => onShard(condition, shard).kind !== 'never');
      const {answers, missing} = await askShards(asked, (shard) =>
        countMatching(shards, {
          shard,
          condition,
          byStatus: true,
          budgetMs: BUDGET_MS,
          monotonic: () => performance.now(),
        }),
      );
      const exact = missing.length === 0 && answers.every(({value}) => value.isAll);
      return {
        value: answers.reduce((sum, {value}) => sum + value.value, 0),
        byStatus: answers.reduce((sum, {value}) => addCounts(sum, value.byStatus ?? NO_DEVICES), NO_DEVICES),
        exact,
        atLeast: !exact,
        asOf: new Date(nowMs).toISOString(),
      };
    } catch (error) {
      // The group is there all the same, and so are the others. An AppError says that too many read, or that the filter is of a newer release.
      if (!(error instanceof AppError)) onRefreshFailed(error);
      return undefined;
    }
  };

  const countOnce = ({groupId, revision, saved}: GroupRow): Promise<GroupCount | undefined> => {
    const key = `${groupId}/${revision}`;
    const before = waiting.get(key);
    if (before !== undefined) return before;
    const mine = turn
      .then(() => count(saved ?? ''))
      .then((counted) => {
        if (counted === undefined) return undefined;
        known.delete(groupId);
        known.set(groupId, {revision, count: counted, atMs: performance.now()});
        const [oldest] = known.keys();
        if (known.size > MOST_GROUPS.dynamic && oldest !== undefined) known.delete(oldest);
        return counted;
      })
      .finally(() => waiting.delete(key));
    waiting.set(key, mine);
    turn = mine;
    return mine;
  };

  const lastOf = ({groupId, revision}: GroupRow): Known | undefined => {
    const last = known.get(groupId);
    return last?.revision === revision ? last : undefined;
  };

  return {
    async of(groups) {
      const endMs = performance.now() + PATIENCE_MS;
      const ofCensus = groups.some(({saved}) => saved === null) ? await census.current() : undefined;
      const dynamic = groups
        .filter(({saved}) => saved !== null)
        .filter((group) => (lastOf(group)?.atMs ?? -Infinity) < performance.now() - FRESH_MS)
        // Who was not counted for the longest time is first.
        .sort((a, b) => (lastOf(a)?.atMs ?? 0) - (lastOf(b)?.atMs ?? 0));
      const counts = new Map<number, GroupCount>();
      await Promise.all(
        dynamic.map(async (group) => {
          try {
            const inTime = withTimeout(countOnce(group), Math.max(1, endMs - performance.now()), LATE);
            const counted = await inTime;
            if (counted !== undefined) counts.set(group.groupId, counted);
          } catch (error) {
            if (describeError(error) !== LATE) throw error;
          }
        }),
      );
      return groups.map((group) => {
        if (group.saved === null && ofCensus !== undefined) return ofStatic(ofCensus, group.groupId, shards.ids());
        return counts.get(group.groupId) ?? lastOf(group)?.count ?? unknown();
      });
    },
  };
};

const NOTHING = {value: 0, byStatus: NO_DEVICES, exact: false, atLeast: false} as const;

const ofStatic = (counted: Counted, groupId: number, asked: readonly number[]): GroupCount => {
  const total = fromCensus(counted, {kind: 'is', field: 'group', values: [groupId], not: false}, asked);
  const cells = counted.shards.flatMap(({counts}) => counts.filter((cell) => cell.groupId === groupId));
  return {...NOTHING, asOf: counted.asOf, ...total, byStatus: countByStatus(cells).byStatus};
};

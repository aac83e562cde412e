import {expect, test} from '@jest/globals';
import type {GroupRow} from '@pisync/core/groups/group-table';
import type {MatchCount} from '@pisync/core/queries/device-count';
import type {AskShards} from '../paging/fan-out.ts';
import {createGroupCounts, type GroupCountsOptions} from './group-counts.ts';

const NOTHING = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
const group = (groupId: number, revision = 1): GroupRow => ({
  ...{groupId, revision, name: `g${groupId}`, saved: 'status==late', filter: 'status==late'},
  createdAt: new Date(0),
});

const fail = (error: unknown): never => {
  throw error;
};

/** One shard, which answers a count when it is told to. */
const slowShard = () => {
  const asked: (() => void)[] = [];
  const askShards = (() =>
    new Promise<unknown>((resolve) => {
      const value: MatchCount = {value: 5, byStatus: {...NOTHING, late: 5}, isAll: true};
      asked.push(() => resolve({answers: [{shard: 0, value}], missing: []}));
    })) as unknown as AskShards;
  const shards = {ids: () => [0]} as unknown as GroupCountsOptions['shards'];
  const census = {current: () => Promise.reject(new Error('nobody asked for static groups'))};
  return {asked, counts: createGroupCounts({shards, askShards, census, now: () => 0, onRefreshFailed: fail})};
};

test('what is not counted in time may be more, one group is counted at a time, and what was counted since is known', async () => {
  const {asked, counts} = slowShard();
  const many = Array.from({length: 50}, (_, index) => group(index + 1));
  const unknown = {value: 0, exact: false, atLeast: true, byStatus: NOTHING};
  const began = performance.now();
  for (const first of await Promise.all([counts.of(many), counts.of(many)])) {
    expect(first).toEqual(many.map(() => expect.objectContaining(unknown) as unknown));
  }
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(asked).toHaveLength(1);
  asked[0]?.();
  const [one, two] = await counts.of([group(1), group(2)]);
  expect(one).toMatchObject({value: 5, exact: true, atLeast: false, byStatus: {...NOTHING, late: 5}});
  expect(two).toMatchObject(unknown);
  expect(asked).toHaveLength(2);
  // With another filter it is another one.
  expect(await counts.of([group(1, 2)])).toMatchObject([unknown]);
});

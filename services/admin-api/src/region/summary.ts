import {z} from 'zod';
import type {DeviceCount} from '@pisync/core/queries/devices';
import type {GroupNames} from '@pisync/core/devices/groups';
import {isInScope, type Scope} from '@pisync/core/devices/scope';
import {DEVICE_STATUSES, type DeviceStatus} from '@pisync/core/devices/device-status';
import {shardNames} from '../paging/fan-out.ts';
import {timestamp} from '../paging/page-schema.ts';

export const countsSchema = z.object({
  pending: z.int(),
  on_time: z.int(),
  late: z.int(),
  silent: z.int(),
  failing: z.int(),
} satisfies Record<DeviceStatus, z.ZodType>);
type Counts = z.output<typeof countsSchema>;

/** What the shards said when their devices were counted: of each the last count, because one that does not answer has one too. */
export const countedSchema = z.object({
  /** When they were asked last. */
  asOf: timestamp,
  /** Which of them did not answer then. */
  missing: z.array(z.int()),
  shards: z.array(
    z.object({
      shard: z.int(),
      asOf: timestamp,
      counts: z.array(z.object({groupId: z.int(), status: z.enum(DEVICE_STATUSES), count: z.int()})),
    }),
  ),
});
export type Counted = z.output<typeof countedSchema>;

export const summarySchema = z.object({
  region: z.string(),
  devices: z.int(),
  byStatus: countsSchema,
  byGroup: z.array(z.object({group: z.string(), devices: z.int(), byStatus: countsSchema})),
  byShard: z.array(
    z.object({
      shard: z.int(),
      devices: z.int(),
      byStatus: countsSchema,
      asOf: timestamp.describe('When this shard was counted.'),
    }),
  ),
  partial: z
    .array(z.string())
    .optional()
    .describe(
      "Shards that did not answer at the last count. Their devices are counted as they were at the shard's `asOf`, or missing in all counts where `byShard` has no such shard.",
    ),
  asOf: timestamp.describe('When this was counted.'),
  ageSeconds: z.int().describe('How long ago this was counted.'),
});

/** A count of the shards `ids`: those that answered now, and of the others what is known from before. */
export const countedNow = (
  ids: readonly number[],
  answers: readonly {readonly shard: number; readonly value: readonly DeviceCount[]}[],
  before: Counted | undefined,
  asOf: string,
): Counted => {
  const shards = ids.flatMap((shard) => {
    const answer = answers.find((one) => one.shard === shard);
    if (answer !== undefined) return [{shard, asOf, counts: [...answer.value]}];
    const known = before?.shards.find((one) => one.shard === shard);
    return known === undefined ? [] : [known];
  });
  return {asOf, missing: ids.filter((id) => answers.every(({shard}) => shard !== id)), shards};
};

export const countByStatus = (
  counts: readonly DeviceCount[],
): {readonly devices: number; readonly byStatus: Counts} => {
  const byStatus: Record<DeviceStatus, number> = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
  for (const {status, count} of counts) byStatus[status] += count;
  return {devices: DEVICE_STATUSES.reduce((sum, status) => sum + byStatus[status], 0), byStatus};
};

/** Adds up what the shards counted in the groups of the scope; groups in the order of their names, shards in the order of their ids. */
export const summarise = (
  {asOf, missing, shards: all}: Counted,
  names: Pick<GroupNames, 'nameOf'>,
  scope: Scope,
): Omit<z.input<typeof summarySchema>, 'region' | 'ageSeconds'> => {
  const shards = all.map((shard) => ({
    ...shard,
    counts: shard.counts.filter(({groupId}) => isInScope(scope, groupId)),
  }));
  const counted = shards.flatMap(({counts}) => counts);
  const groups = Map.groupBy(counted, ({groupId}) => groupId);
  return {
    ...countByStatus(counted),
    byGroup: [...groups]
      .map(([groupId, counts]) => ({group: names.nameOf(groupId), ...countByStatus(counts)}))
      .sort((a, b) => (a.group < b.group ? -1 : 1)),
    byShard: shards.map(({shard, counts, asOf: countedAt}) => ({shard, ...countByStatus(counts), asOf: countedAt})),
    asOf,
    ...(missing.length === 0 ? {} : {partial: shardNames(missing)}),
  };
};

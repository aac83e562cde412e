import {z} from 'zod';
import type {DeviceCount} from '@pisync/core/queries/devices';
import type {GroupNames} from '@pisync/core/devices/groups';
import {DEVICE_STATUSES, type DeviceStatus} from '@pisync/core/devices/device-status';
import {shardNames} from '../paging/fan-out.ts';
import {timestamp} from '../paging/page-schema.ts';

const countsSchema = z.object({
  pending: z.int(),
  on_time: z.int(),
  late: z.int(),
  silent: z.int(),
  failing: z.int(),
} satisfies Record<DeviceStatus, z.ZodType>);
type Counts = z.output<typeof countsSchema>;

/** How a region's devices are, counted once and shown for a while. */
export const countedSchema = z.object({
  devices: z.int(),
  byStatus: countsSchema,
  byGroup: z.array(z.object({group: z.string(), devices: z.int(), byStatus: countsSchema})),
  byShard: z.array(z.object({shard: z.int(), devices: z.int(), byStatus: countsSchema})),
  partial: z
    .array(z.string())
    .optional()
    .describe('Shards that did not answer; their devices are missing in all counts.'),
  asOf: timestamp.describe('When this was counted.'),
});
export type Counted = z.output<typeof countedSchema>;

export const summarySchema = countedSchema.extend({
  region: z.string(),
  ageSeconds: z.int().describe('How long ago this was counted.'),
});

const countByStatus = (counts: readonly DeviceCount[]): {readonly devices: number; readonly byStatus: Counts} => {
  const byStatus: Record<DeviceStatus, number> = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
  for (const {status, count} of counts) byStatus[status] += count;
  return {devices: DEVICE_STATUSES.reduce((sum, status) => sum + byStatus[status], 0), byStatus};
};

/** Adds up what the shards counted; groups in the order of their names, shards in the order of their ids. */
export const summarise = (
  answers: readonly {readonly shard: number; readonly value: readonly DeviceCount[]}[],
  names: GroupNames,
  missing: readonly number[],
  asOf: string,
): Counted => {
  const all = answers.flatMap(({value}) => value);
  const groups = Map.groupBy(all, ({groupId}) => groupId);
  return {
    ...countByStatus(all),
    byGroup: [...groups]
      .map(([groupId, counts]) => ({group: names.nameOf(groupId), ...countByStatus(counts)}))
      .sort((a, b) => (a.group < b.group ? -1 : 1)),
    byShard: answers.map(({shard, value}) => ({shard, ...countByStatus(value)})),
    asOf,
    ...(missing.length === 0 ? {} : {partial: shardNames(missing)}),
  };
};

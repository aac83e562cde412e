import type {GroupRow} from '@pisync/core/groups/group-table';
import {z} from 'zod';
import {countSchema} from '../devices/count-devices.ts';
import {timestamp} from '../paging/page-schema.ts';
import {countsSchema} from '../region/summary.ts';

const groupCountSchema = countSchema.extend({byStatus: countsSchema});
export type GroupCount = z.output<typeof groupCountSchema>;

/** A group as the API shows it. */
export const groupSchema = z.object({
  id: z.int(),
  name: z.string(),
  kind: z
    .enum(['static', 'dynamic'])
    .describe('static: a device is in exactly one of these; dynamic: it is of whatever devices its filter finds.'),
  filter: z.string().nullable().describe('Of a dynamic group: the filter of lists. Null: it is static.'),
  createdAt: timestamp,
  revision: z.int().describe('Grows with each change of the name or the filter.'),
  count: groupCountSchema.describe('How many devices it has.'),
});
type GroupView = z.input<typeof groupSchema>;
export const GROUP_FIELDS = groupSchema.keyof().options;

/** What the keeper of lists asks of a group. Without `count` where nobody asked for it. */
export const showGroup = (row: GroupRow, count: GroupCount | undefined) => ({
  id: row.groupId,
  name: row.name,
  kind: row.saved === null ? ('static' as const) : ('dynamic' as const),
  filter: row.filter,
  createdAt: row.createdAt.toISOString(),
  revision: row.revision,
  ...(count === undefined ? {} : {count}),
});

/** One group, and when it was read. */
export const oneGroup = z.object({data: groupSchema, asOf: timestamp});
type OneGroup = z.input<typeof oneGroup>;

/** What the ETag of a group is of, wherever it is answered. */
export const groupTag = {
  // Not of when it was counted.
  tagged: ({data: {count, ...group}}: OneGroup): unknown => ({...group, count: {...count, asOf: undefined}}),
  revision: ({data}: {readonly data: GroupView}): number => data.revision,
} as const;

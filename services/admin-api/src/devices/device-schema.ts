import {z} from 'zod';
import type {ListedDevice} from '@pisync/core/queries/device-list';
import type {DeviceField} from '@pisync/core/queries/devices';
import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import type {GroupNames} from '@pisync/core/devices/groups';
import {formatEpoch} from '@pisync/core/devices/epoch';
import {timestamp} from '../paging/page-schema.ts';

/** A device as the API shows it: names, docs and the repository's field that each is read from. */
export const deviceSchema = z.object({
  id: z.uuid(),
  name: z.string().nullable(),
  group: z.string(),
  status: z
    .enum(DEVICE_STATUSES)
    .describe(
      'pending: never synced; late: neither synced nor sent a heartbeat for a day; silent: for three; failing: its last batch could not be applied.',
    ),
  statusSince: timestamp,
  model: z.string().nullable(),
  hardwareId: z.string(),
  tags: z.record(z.string(), z.string()),
  enrolledAt: timestamp,
  revokedAt: timestamp.nullable().describe('From then on it is shut out. Null: it is not.'),
  decommissionedAt: timestamp.nullable().describe('From then on it is out of service; it is revoked as well.'),
  reEnrolledAt: timestamp
    .nullable()
    .describe('When it last enrolled with a new secret, which shut out the one before.'),
  reEnrolments: z.int().describe('How often it did.'),
  disputedUntil: timestamp
    .nullable()
    .describe('More than one machine seems to have its hardware id. Null when none of that was seen for a day.'),
  lastSyncAt: timestamp.nullable().describe('When its last batch arrived.'),
  lastSeenAt: timestamp.nullable().describe('When it was last heard of, also without records.'),
  recordsTotal: z.int(),
  syncsTotal: z.int(),
  revision: z.int().describe('Grows with each change of name, group, tags or revocation.'),
  epoch: z.string().describe('The newest epoch issued to it.'),
  appliedThrough: z.int().describe('Every batch of its epoch up to this number is applied.'),
  state: z.unknown().describe('What it last said about itself.'),
  slot: z.int(),
  shard: z.int(),
});

export type DeviceView = z.input<typeof deviceSchema>;
export type DeviceViewField = keyof DeviceView;

export const DEVICE_VIEW_FIELDS: readonly DeviceViewField[] = deviceSchema.keyof().options;

/** What a list shows unless it is asked for more or less. */
export const DEFAULT_FIELDS: readonly DeviceViewField[] = [
  'id',
  'name',
  'group',
  'status',
  'lastSyncAt',
  'lastSeenAt',
  'recordsTotal',
  'syncsTotal',
  'shard',
];

/** The columns that a choice of fields needs. The shard is known without asking. */
export const columnsFor = (fields: readonly DeviceViewField[]): readonly DeviceField[] =>
  fields
    .filter((field) => field !== 'shard')
    .map((field) => (field === 'id' ? 'deviceId' : field === 'group' ? 'groupId' : field));

const time = (value: Date | null | undefined): string | null => value?.toISOString() ?? null;

/** The chosen fields of a row. */
export const viewOf = (
  row: ListedDevice & {readonly shard: number},
  fields: readonly DeviceViewField[],
  names: GroupNames,
): Partial<DeviceView> & {readonly id: string} => {
  const entries = fields.map((field) => {
    switch (field) {
      case 'id':
        return [field, row.deviceId] as const;
      case 'group':
        return [field, row.groupId === undefined ? undefined : names.nameOf(row.groupId)] as const;
      case 'epoch':
        return [field, row.epoch === undefined ? undefined : formatEpoch(row.epoch)] as const;
      case 'statusSince':
      case 'enrolledAt':
      case 'revokedAt':
      case 'decommissionedAt':
      case 'reEnrolledAt':
      case 'disputedUntil':
      case 'lastSyncAt':
      case 'lastSeenAt':
        return [field, time(row[field])] as const;
      default:
        return [field, row[field]] as const;
    }
  });
  return {...Object.fromEntries(entries), id: row.deviceId};
};

import type pg from 'pg';
import {onceMore} from '../shards/once-more.ts';
import {type LeftMs, queryWithin} from '../shards/query-within.ts';
import {type Shards} from '../shards/shards.ts';
import {onOwners, type Outer} from '../shards/on-owner.ts';
import {slotOfKey} from '../shards/slot.ts';
import {type DeviceStatus} from '../devices/device-status.ts';

/** A device as people see it. */
export interface Device {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly slot: number;
  readonly hardwareId: string;
  readonly name: string | null;
  readonly groupId: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly model: string | null;
  readonly status: DeviceStatus;
  readonly statusSince: Date;
  readonly enrolledAt: Date;
  readonly revokedAt: Date | null;
  /** Then it is revoked as well. */
  readonly decommissionedAt: Date | null;
  /** When it last got a new secret, and how often it did. */
  readonly reEnrolledAt: Date | null;
  readonly reEnrolments: number;
  /** More than one machine seems to have its hardware id: so long people are told so. */
  readonly disputedUntil: Date | null;
  /** Grows with each change of what people may change. */
  readonly revision: number;
  /** The newest epoch issued. */
  readonly epoch: number;
  /** Every batch up to this number of the newest epoch seen is applied. */
  readonly appliedThrough: number;
  readonly lastSyncAt: Date | null;
  readonly lastSeenAt: Date | null;
  readonly recordsTotal: number;
  readonly syncsTotal: number;
  /** What the device last said about itself; JSON as it was sent. */
  readonly state: unknown;
}

export type DeviceField = keyof Device;

/** The only text that reaches SQL from a field's name. */
const COLUMN: Readonly<Record<DeviceField, string>> = {
  deviceId: 'd.device_id',
  deviceKey: 'd.device_key',
  slot: slotOfKey('d.device_key'),
  hardwareId: 'd.hardware_id',
  name: 'd.name',
  groupId: 't.group_id',
  tags: 'd.tags',
  model: 'd.model',
  status: 't.status',
  statusSince: 't.since',
  enrolledAt: 'd.enrolled_at',
  revokedAt: 'd.revoked_at',
  decommissionedAt: 'd.decommissioned_at',
  reEnrolledAt: 'd.re_enrolled_at',
  reEnrolments: 'd.re_enrolments',
  disputedUntil: 'case when d.disputed_until > now() then d.disputed_until end',
  revision: 'd.revision',
  epoch: 'd.epoch',
  appliedThrough: 's.applied_through',
  lastSyncAt: 's.last_sync_at',
  lastSeenAt: 's.last_seen_at',
  recordsTotal: 's.records_total',
  syncsTotal: 's.syncs_total',
  state: 'h.state',
};

export const DEVICE_FIELDS: readonly DeviceField[] = Object.keys(COLUMN)
  // Object.keys forgets the key type of the record it is given.
  .map((field) => field as DeviceField);

export const columnsOf = (fields: readonly DeviceField[]): string =>
  fields.map((field) => `${COLUMN[field]} as "${field}"`).join(', ');

/** Rows of slots that a shard does not own are copies on their way in or out, and are nobody's to see. */
export const OWNED_SLOTS = (key: string): string =>
  // Not a plain `in`, which would be a join, and a join has an order of its own.
  `(${slotOfKey(key)} in (select slot from slot_owner where state = 'owned')) is true`;
const OWNED = `join slot_owner o on o.slot = ${slotOfKey('t.device_key')} and o.state = 'owned'`;

/** SQL: what a device has in other tables. */
const WITH_ALL_FIELDS = `left join device_state s on s.device_key = d.device_key left join device_status t on t.device_key = d.device_key
               left join device_shadow h on h.device_key = d.device_key`;

/** Devices with all their fields, in the order of the ids; undefined for those that are not enrolled in this region. Ids must be uuids. */
export const findDevices = (shards: Shards, deviceIds: readonly string[]): Promise<readonly (Device | undefined)[]> =>
  onOwners(
    shards,
    deviceIds.map((deviceId) => ({deviceId, slot: shards.slotOf(deviceId)})),
    async (shardId, asked) => {
      const found = await shards.pool(shardId, 'dashboard').query<Outer<Device> & {readonly place: number}>({
        name: 'devices',
        text: `select n.place::int as place, ${columnsOf(DEVICE_FIELDS)}
               from unnest($1::smallint[], $2::uuid[]) with ordinality as n (slot, device_id, place)
               join slot_owner o on o.slot = n.slot and o.state = 'owned'
               left join device d on d.device_id = n.device_id ${WITH_ALL_FIELDS}`,
        values: [asked.map(({slot}) => slot), asked.map(({deviceId}) => deviceId)],
      });
      const byPlace = new Map(found.rows.map(({place, ...row}) => [place, row]));
      return asked.map((_, index) => {
        const row = byPlace.get(index + 1);
        if (row === undefined) return {kind: 'moved'};
        return {kind: 'done', value: row.deviceKey === null ? undefined : row};
      });
    },
  );

/** {@link findDevices} of one. */
export const findDevice = async (shards: Shards, deviceId: string): Promise<Device | undefined> =>
  (await findDevices(shards, [deviceId]))[0];

/** A device as a transaction on its slot sees it. */
export const readDevice = async (client: pg.ClientBase, deviceId: string): Promise<Device | undefined> => {
  const found = await client.query<Device>({
    name: 'device',
    text: `select ${columnsOf(DEVICE_FIELDS)} from device d ${WITH_ALL_FIELDS} where d.device_id = $1`,
    values: [deviceId],
  });
  return found.rows[0];
};

/** How many devices of one group have one status. */
export interface DeviceCount {
  readonly groupId: number;
  readonly status: DeviceStatus;
  readonly count: number;
}

/** The devices of a shard, counted by group and status; nothing is said of combinations that do not occur. */
export const countDevices = async (shards: Shards, shard: number, leftMs: LeftMs): Promise<readonly DeviceCount[]> => {
  const found = await onceMore(() =>
    queryWithin<DeviceCount>(shards.pool(shard, 'dashboard'), leftMs, {
      name: 'devices-by-group-and-status',
      text: `select t.group_id as "groupId", t.status, count(*) as count
             from device_status t ${OWNED} group by t.group_id, t.status`,
    }),
  );
  return found.rows;
};

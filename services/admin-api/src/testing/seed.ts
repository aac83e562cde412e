import {createHash, randomUUID} from 'node:crypto';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import type {DeviceStatus} from '@pisync/core/devices/device-status';
import {enrol} from '@pisync/core/devices/enrolment';
import type {Role} from '@pisync/core/devices/tokens';
import {tokenHash} from '@pisync/core/devices/tokens';
import type {Shards} from '@pisync/core/shards/shards';
import {v7 as uuidv7} from 'uuid';

/** Devices and their past for tests of what people see. */
export interface SeededDevice {
  readonly id: string;
  readonly deviceKey: number;
  readonly shard: number;
  readonly slot: number;
  readonly group: string;
  readonly status: DeviceStatus;
}

const STATUS_OF: readonly DeviceStatus[] = [
  'on_time',
  'on_time',
  'on_time',
  'on_time',
  'late',
  'on_time',
  'silent',
  'pending',
  'on_time',
  'failing',
];
const GROUPS = ['north', 'south', 'default', 'north & "co"'] as const;
const MODELS = ['Raspberry Pi 4', 'Raspberry Pi Zero 2 W', 'Raspberry Pi 5'] as const;

const pick = <T>(values: readonly [T, ...T[]] | readonly T[], index: number): T => {
  const value = values[index % values.length];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
};

export const ensureGroup = async (shards: Shards, name: string): Promise<number> => {
  const found = await shards.control('job').query<{groupId: number}>(
    `insert into control.device_group (name) values ($1)
     on conflict (name) where deleted_at is null do update set name = excluded.name returning group_id as "groupId"`,
    [name],
  );
  const [row] = found.rows;
  if (row === undefined) throw new Error(`the group ${name} was neither found nor made`);
  return row.groupId;
};

export const seedDevices = async (shards: Shards, count: number): Promise<readonly SeededDevice[]> => {
  const keys = createDeviceKeys(shards);
  const devices: SeededDevice[] = [];
  for (let index = 0; index < count; index++) {
    const id = randomUUID();
    const group = pick(GROUPS, Math.floor(index / 3));
    const enrolment = await enrol(shards, keys, {
      deviceId: id,
      hardwareId: `hw-${String(index).padStart(6, '0')}`,
      secretHash: createHash('sha256').update(id).digest(),
      groupId: await ensureGroup(shards, group),
      name: `site-${pick(['oak', 'elm', 'ash', 'fir'], index)}-${String(index).padStart(4, '0')}`,
      model: pick(MODELS, index),
      tags: {site: `s-${index % 7}`},
    });
    if (enrolment.kind === 'refused') throw new Error(`device ${id} is refused`);
    const shard = shards.shardOfDevice(id);
    const status = pick(STATUS_OF, index);
    await shards
      .pool(shard, 'job')
      .query('update device_status set status = $2 where device_key = $1', [enrolment.deviceKey, status]);
    devices.push({id, deviceKey: enrolment.deviceKey, shard, slot: enrolment.slot, group, status});
  }
  return devices;
};

/** As if the device had synced `batches` times, a minute apart, with `recordsEach` records. */
export const seedSyncs = async (
  shards: Shards,
  {deviceKey, shard}: SeededDevice,
  batches: number,
  recordsEach: number,
): Promise<void> => {
  const pool = shards.pool(shard, 'job');
  await pool.query(
    `insert into receipt (device_key, epoch, batch_seq, content_hash, outcome, record_count, bad_count, mode, reason,
                          received_day, received_at, applied_at)
     select $1, 1, b, sha256(b::text::bytea), 'applied', $3, 0, 'delta', 'scheduled', current_date,
            now() - make_interval(mins => $2::int - b), now() - make_interval(mins => $2::int - b)
     from generate_series(1, $2::int) b`,
    [deviceKey, batches, recordsEach],
  );
  await pool.query(
    `insert into record (device_key, epoch, batch_seq, ordinal, seq, kind, device_time, data, received_day, received_at)
     select $1, 1, 1 + (s - 1) / $3::int, (s - 1) % $3::int, s, 'reading', now() - make_interval(mins => $2::int * $3::int - s),
            jsonb_build_object('celsius', round((15 + 8 * sin(s / 9.0))::numeric, 1)), current_date, now()
     from generate_series(1, $2::int * $3::int) s`,
    [deviceKey, batches, recordsEach],
  );
  await pool.query(
    `update device_state set applied_through = $2::int, state_seq = $2::int, last_sync_at = now(), last_seen_at = now(), syncs_total = $2::int,
            records_total = $2::int * $3::int
     where device_key = $1`,
    [deviceKey, batches, recordsEach],
  );
  await pool.query(
    `insert into device_shadow (device_key, state) values ($1, '{"v": 57, "fw": "1.12.0", "disk": 0.71, "load": [0.1, 0.3, 0.2]}')`,
    [deviceKey],
  );
};

/** Adds an API token of a role; the token is its answer. @param groups its scope */
export const seedApiToken = async (shards: Shards, role: Role, groups?: readonly string[]): Promise<string> => {
  const token = `${role}-${randomUUID()}`;
  const groupIds = groups === undefined ? null : await Promise.all(groups.map((name) => ensureGroup(shards, name)));
  await shards.control('job').query(
    `insert into control.api_token (token_hash, token_id, name, role, group_ids, created_by)
     values ($1, $2, $3, $4, $5, 'test')`,
    [tokenHash(token), uuidv7(), `test ${role}`, role, groupIds],
  );
  return token;
};

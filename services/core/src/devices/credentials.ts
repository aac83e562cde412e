import {onceMore} from '../shards/once-more.ts';
import {onOwner, type Outer} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';

/** What authenticating a device needs to know. */
export interface Credential {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly slot: number;
  /** sha256 of the secret, 32 bytes. */
  readonly secretHash: Buffer;
  /** The newest epoch issued, from 1. */
  readonly epoch: number;
  readonly revoked: boolean;
}

/** All that a call of a device needs of its shard, in one statement: a device that syncs once a day is in no cache. */
export interface DeviceContext {
  readonly credential: Credential;
  /** The newest epoch that a batch was applied of, and up to which number all of its batches are. */
  readonly applied: {readonly epoch: number; readonly through: number};
  /** Whether commands wait for the device. */
  readonly commands: boolean;
}

interface ContextRow {
  readonly deviceKey: number;
  readonly secretHash: Buffer;
  readonly epoch: number;
  readonly revoked: boolean;
  readonly appliedEpoch: number;
  readonly appliedThrough: number;
  readonly commands: boolean;
}

const COLUMNS = `d.device_key as "deviceKey", d.secret_hash as "secretHash", d.epoch, d.revoked_at is not null as revoked,
                    coalesce(s.epoch, d.epoch) as "appliedEpoch", coalesce(s.applied_through, 0) as "appliedThrough",
                    exists (select from device_command c where c.device_key = d.device_key and c.expires_at > now()) as commands`;

/** Undefined when no such device is enrolled in this region. `deviceId` must be a uuid. */
export const findDeviceContext = (shards: Shards, deviceId: string): Promise<DeviceContext | undefined> => {
  const slot = shards.slotOf(deviceId);
  return onOwner(shards, slot, async (shardId) => {
    const found = await shards.pool(shardId, 'ingest').query<Outer<ContextRow>>({
      name: 'device-context',
      text: `select ${COLUMNS}
             from slot_owner o left join device d on d.device_id = $2 left join device_state s on s.device_key = d.device_key
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, deviceId],
    });
    const row = found.rows[0];
    return row === undefined ? {kind: 'moved'} : {kind: 'done', value: contextOf({deviceId, slot}, row)};
  });
};

/**
 * {@link findDeviceContext} of many that the map gives to one shard, in one statement. Those that are not enrolled are left out; those whose slot the shard does not own
 * are asked for each by itself.
 */
export const findDeviceContexts = async (
  shards: Shards,
  shardId: number,
  deviceIds: readonly string[],
): Promise<ReadonlyMap<string, DeviceContext | Promise<DeviceContext | undefined>>> => {
  const [first, ...others] = deviceIds;
  if (first !== undefined && others.length === 0) return new Map([[first, findDeviceContext(shards, first)]]);
  const asked = deviceIds.map((deviceId) => ({deviceId, slot: shards.slotOf(deviceId)}));
  const {rows} = await onceMore(() =>
    shards.pool(shardId, 'ingest').query<Outer<ContextRow> & {readonly place: number}>({
      name: 'device-contexts',
      text: `select n.place::int as place, ${COLUMNS}
             from unnest($1::smallint[], $2::uuid[]) with ordinality as n (slot, device_id, place)
             join slot_owner o on o.slot = n.slot and o.state = 'owned'
             left join device d on d.device_id = n.device_id left join device_state s on s.device_key = d.device_key`,
      values: [asked.map(({slot}) => slot), deviceIds],
    }),
  );
  const byPlace = new Map(rows.map(({place, ...row}) => [place, row]));
  const found = new Map<string, DeviceContext | Promise<DeviceContext | undefined>>();
  for (const [index, device] of asked.entries()) {
    const row = byPlace.get(index + 1);
    const context = row === undefined ? findDeviceContext(shards, device.deviceId) : contextOf(device, row);
    if (context !== undefined) found.set(device.deviceId, context);
  }
  return found;
};

const contextOf = (
  device: Pick<Credential, 'deviceId' | 'slot'>,
  row: Outer<ContextRow>,
): DeviceContext | undefined => {
  if (row.deviceKey === null) return undefined;
  const {appliedEpoch, appliedThrough, commands, ...credential} = row;
  return {
    credential: {...credential, ...device},
    applied: {epoch: appliedEpoch, through: appliedThrough},
    commands,
  };
};

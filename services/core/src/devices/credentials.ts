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

/** Undefined when no such device is enrolled in this region. `deviceId` must be a uuid. */
export const findDeviceContext = (shards: Shards, deviceId: string): Promise<DeviceContext | undefined> => {
  const slot = shards.slotOf(deviceId);
  return onOwner(shards, slot, async (shardId) => {
    const found = await shards.pool(shardId, 'ingest').query<Outer<ContextRow>>({
      name: 'device-context',
      text: `select d.device_key as "deviceKey", d.secret_hash as "secretHash", d.epoch, d.revoked_at is not null as revoked,
                    coalesce(s.epoch, d.epoch) as "appliedEpoch", coalesce(s.applied_through, 0) as "appliedThrough",
                    exists (select from device_command c where c.device_key = d.device_key and c.expires_at > now()) as commands
             from slot_owner o left join device d on d.device_id = $2 left join device_state s on s.device_key = d.device_key
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, deviceId],
    });
    const row = found.rows[0];
    if (row === undefined) return {kind: 'moved'};
    if (row.deviceKey === null) return {kind: 'done', value: undefined};
    const {appliedEpoch, appliedThrough, commands, ...credential} = row;
    return {
      kind: 'done',
      value: {
        credential: {...credential, deviceId, slot},
        applied: {epoch: appliedEpoch, through: appliedThrough},
        commands,
      },
    };
  });
};

import {onOwner} from '../shards/on-owner.ts';
import {type Shards, type ShardUse} from '../shards/shards.ts';

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

interface CredentialRow {
  readonly deviceKey: number | null;
  readonly secretHash: Buffer;
  readonly epoch: number;
  readonly revoked: boolean;
}

/** The credential of a device, or undefined when no such device is enrolled in this region. `deviceId` must be a uuid. */
export const findCredential = (
  shards: Shards,
  deviceId: string,
  use: ShardUse = 'ingest',
): Promise<Credential | undefined> => {
  const slot = shards.slotOf(deviceId);
  return onOwner(shards, slot, async (shardId) => {
    const found = await shards.pool(shardId, use).query<CredentialRow>({
      name: 'credential',
      text: `select d.device_key as "deviceKey", d.secret_hash as "secretHash", d.epoch,
                    d.revoked_at is not null as revoked
             from slot_owner o left join device d on d.device_id = $2 and d.slot = o.slot
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, deviceId],
    });
    const row = found.rows[0];
    if (row === undefined) return {kind: 'moved'};
    if (row.deviceKey === null) return {kind: 'done', value: undefined};
    return {kind: 'done', value: {...row, deviceKey: row.deviceKey, deviceId, slot}};
  });
};

import {onOwner, type Outer} from '../shards/on-owner.ts';
import {type DeviceRef} from '../receipts/receipts.ts';
import {type Shards} from '../shards/shards.ts';

/** Where a device's batches have got to, as committed. */
export interface Position {
  /** The newest epoch that a batch was applied of. */
  readonly epoch: number;
  /** Every batch of that epoch up to this number is applied. */
  readonly appliedThrough: number;
  /** The same of the epoch that was asked for, whether it is the newest or one that was replaced. */
  readonly appliedOfAsked: number;
  /** Whether commands wait for the device. */
  readonly commands: boolean;
}

/** Undefined when the device is not enrolled; also when its key is another's, because its shard was restored from a backup since. */
export const findPosition = (
  shards: Shards,
  {deviceId, deviceKey, slot}: DeviceRef & {readonly deviceId: string},
  askedEpoch: number,
): Promise<Position | undefined> =>
  onOwner(shards, slot, async (shardId) => {
    const found = await shards.pool(shardId, 'ingest').query<Outer<Position>>({
      name: 'position',
      text: `select s.epoch, s.applied_through as "appliedThrough",
                    case when s.epoch = $3 then s.applied_through else coalesce(e.applied_through, 0) end as "appliedOfAsked",
                    exists (select from device_command c where c.device_key = $2 and c.expires_at > now()) as commands
             from slot_owner o left join device_state s on s.device_key = $2 and s.device_id = $4
             left join device_epoch e on e.device_key = s.device_key and e.epoch = $3
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, deviceKey, askedEpoch, deviceId],
    });
    const row = found.rows[0];
    if (row === undefined) return {kind: 'moved'};
    return {kind: 'done', value: row.epoch === null ? undefined : row};
  });

import {onOwner, type Outer} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';

/** Where a device's batches have got to, as committed. */
export interface Position {
  /** The newest epoch that a batch was applied of. */
  readonly epoch: number;
  /** Every batch of that epoch up to this number is applied. */
  readonly appliedThrough: number;
  /** Whether commands wait for the device. */
  readonly commands: boolean;
}

/** Undefined when the device is not enrolled. */
export const findPosition = (shards: Shards, deviceKey: number, slot: number): Promise<Position | undefined> =>
  onOwner(shards, slot, async (shardId) => {
    const found = await shards.pool(shardId, 'ingest').query<Outer<Position>>({
      name: 'position',
      text: `select s.epoch, s.applied_through as "appliedThrough",
                    exists (select from device_command c
                            where c.device_key = $2 and c.done_at is null and c.expires_at > now()) as commands
             from slot_owner o left join device_state s on s.device_key = $2
             where o.slot = $1 and o.state = 'owned'`,
      values: [slot, deviceKey],
    });
    const row = found.rows[0];
    if (row === undefined) return {kind: 'moved'};
    return {kind: 'done', value: row.epoch === null ? undefined : row};
  });

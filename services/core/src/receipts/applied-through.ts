import {onOwner} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';
import {type DeviceRef} from './receipts.ts';

/** Up to which number an epoch's batches are applied without a gap, from the receipts themselves; for epochs that a newer one has replaced. */
export const findAppliedThrough = (shards: Shards, device: DeviceRef, epoch: number): Promise<number> =>
  onOwner(shards, device.slot, async (shardId) => {
    const found = await shards.pool(shardId, 'ingest').query<{through: number | string}>({
      name: 'applied-through',
      text: `select (select coalesce(max(batch_seq), 0) from (
                       select batch_seq, row_number() over (order by batch_seq) as position
                       from receipt where device_key = $2 and epoch = $3) r
                     where batch_seq = position) as through
             from slot_owner o where o.slot = $1 and o.state = 'owned'`,
      values: [device.slot, device.deviceKey, epoch],
    });
    const row = found.rows[0];
    return row === undefined ? {kind: 'moved'} : {kind: 'done', value: Number(row.through)};
  });

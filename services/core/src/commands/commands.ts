import type pg from 'pg';
import {type DeviceRef} from '../receipts/receipts.ts';
import {onOwner, type Outer} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';

/** What a device is told to do. `epoch.new`: a batch's number was used twice with other content, so take a new epoch. */
type CommandType = 'sync.full' | 'sync.delta' | 'epoch.new';
type Priority = 'high' | 'normal';

export interface Command {
  readonly commandId: string;
  readonly requestId: string;
  readonly type: CommandType;
  readonly params: Readonly<Record<string, unknown>>;
  readonly priority: Priority;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly deliveredAt: Date | null;
}

/**
 * What a device still has to do, urgent first. A command stays in the list until the sync it asks for is applied, so a
 * response that got lost is repeated; devices know a command by its id.
 */
export const listOpenCommands = (shards: Shards, device: DeviceRef, limit: number): Promise<readonly Command[]> =>
  onOwner(shards, device.slot, async (shardId) => {
    const found = await shards.pool(shardId, 'ingest').query<Outer<Command>>({
      name: 'commands-open',
      text: `select c.command_id as "commandId", c.request_id as "requestId", c.type, c.params, c.priority,
                    c.created_at as "createdAt", c.expires_at as "expiresAt", c.delivered_at as "deliveredAt"
             from slot_owner o left join lateral (
               select * from device_command where device_key = $2 and expires_at > now()
               order by priority, created_at limit $3) c on true
             where o.slot = $1 and o.state = 'owned'`,
      values: [device.slot, device.deviceKey, limit],
    });
    if (found.rows.length === 0) return {kind: 'moved'};
    return {kind: 'done', value: found.rows.filter((row) => row.commandId !== null)};
  });

/**
 * Notes when commands were first handed to their device. Commands of a slot that is being moved, and those whose row somebody has, are left for the next
 * call, which hands them out again.
 */
export const markDelivered = async (
  shards: Shards,
  deliveries: readonly (DeviceRef & {readonly commandId: string})[],
  atMs: number,
): Promise<void> => {
  const byShard = Map.groupBy(deliveries, ({slot}) => shards.slotMap.shardOf(slot));
  for (const [shardId, group] of byShard) {
    await withOwnedSlots(
      shards.pool(shardId, 'ingest'),
      group.map(({slot}) => slot),
      (client) =>
        client.query({
          name: 'commands-delivered',
          text: `with open as (select c.device_key, c.type from unnest($1::bigint[], $2::uuid[]) as n (device_key, command_id)
                               join device_command c on c.device_key = n.device_key and c.command_id = n.command_id
                               where c.delivered_at is null order by c.device_key, c.type for update of c skip locked)
                 update device_command c set delivered_at = to_timestamp($3::float8 / 1000), tx_id = pg_current_xact_id()::text::bigint
                 from open where c.device_key = open.device_key and c.type = open.type`,
          values: [group.map(({deviceKey}) => deviceKey), group.map(({commandId}) => commandId), atMs],
        }),
    );
  }
};

/** A command to be. One per device and type in a call. */
export interface NewCommand extends DeviceRef {
  readonly commandId: string;
  readonly requestId: string;
  readonly type: CommandType;
  readonly params: Readonly<Record<string, unknown>>;
  readonly priority: Priority;
  /** When somebody asked for it; it is not created later than now by the shard's clock. Undefined: now. */
  readonly createdAtMs: number | undefined;
  readonly lifetimeMs: number;
}

/**
 * Adds commands within a transaction that holds the slots. A device has one open command of a type: a second request joins
 * it, raising its priority and prolonging it. One that was delivered or has expired starts anew under the new id, because
 * a device does not repeat an id that it has done. The same request again changes nothing while its command is open; once that is done it is a new command, which costs the
 * device a sync.
 */
export const insertCommands = async (client: pg.PoolClient, commands: readonly NewCommand[]): Promise<void> => {
  const sorted = [...commands].sort((a, b) => a.deviceKey - b.deviceKey || (a.type < b.type ? -1 : 1));
  await client.query({
    name: 'commands-insert',
    text: `insert into device_command as c (command_id, device_key, request_id, type, params, priority, created_at, expires_at)
           select command_id, device_key, request_id, type, params, priority, created_at, created_at + lifetime_ms * interval '1 ms'
           from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::jsonb[], $6::text[], $7::float8[], $8::float8[])
             as n (command_id, device_key, request_id, type, params, priority, created_ms, lifetime_ms)
           cross join lateral (select least(to_timestamp(created_ms / 1000), now()) as created_at) t
           on conflict (device_key, type) do update set
             command_id = case when c.delivered_at is null and c.expires_at > excluded.created_at then c.command_id else excluded.command_id end,
             created_at = case when c.delivered_at is null and c.expires_at > excluded.created_at then c.created_at else excluded.created_at end,
             request_id = excluded.request_id,
             params = excluded.params,
             priority = least(c.priority, excluded.priority),
             expires_at = greatest(c.expires_at, excluded.expires_at),
             delivered_at = null,
             acked_at = null,
             tx_id = pg_current_xact_id()::text::bigint
           where c.request_id <> excluded.request_id`,
    values: [
      sorted.map(({commandId}) => commandId),
      sorted.map(({deviceKey}) => deviceKey),
      sorted.map(({requestId}) => requestId),
      sorted.map(({type}) => type),
      sorted.map(({params}) => JSON.stringify(params)),
      sorted.map(({priority}) => priority),
      sorted.map(({createdAtMs}) => createdAtMs),
      sorted.map(({lifetimeMs}) => lifetimeMs),
    ],
  });
};

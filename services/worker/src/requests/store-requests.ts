import {type SyncRequest} from '@pisync/core/broker/sync-request';
import {insertCommands, type NewCommand} from '@pisync/core/commands/commands';
import {type Shards} from '@pisync/core/shards/shards';
import {inSlotTransaction, type SlotVerdict} from '@pisync/core/shards/slot-transaction';
import type pg from 'pg';

/** What became of requests; `moved` ones are another shard's, and of the device of `busy` ones somebody has a command's row. */
export interface StoredRequests {
  readonly stored: readonly SyncRequest[];
  /** For a device that is not enrolled here, or no longer. */
  readonly unknown: readonly SyncRequest[];
  readonly moved: readonly SyncRequest[];
  readonly busy: readonly SyncRequest[];
}

/** Two daily syncs: a device that answers neither has another problem. */
const LIFETIME_MS = 48 * 3_600_000;

/** Turns sync requests into commands for their devices, in one transaction of the shard. @throws what the database threw. */
export const storeRequests = async (
  shards: Shards,
  shardId: number,
  requests: readonly SyncRequest[],
  newId: () => string,
  deadline: AbortSignal,
): Promise<StoredRequests> => {
  const store = (some: readonly SyncRequest[]) => storeOnShard(shards, shardId, some, newId, deadline);
  const verdict = await store(requests);
  if (verdict.kind === 'done') return verdict.value;
  const elsewhere = new Set(verdict.slots);
  const {moved = [], here = []} = Object.groupBy(requests, ({deviceId}) =>
    elsewhere.has(shards.slotOf(deviceId)) ? 'moved' : 'here',
  );
  const rest = here.length === 0 ? undefined : await store(here);
  if (rest?.kind === 'done') return {...rest.value, moved};
  return {stored: [], unknown: [], busy: [], moved: requests};
};

const storeOnShard = (
  shards: Shards,
  shardId: number,
  requests: readonly SyncRequest[],
  newId: () => string,
  deadline: AbortSignal,
): Promise<SlotVerdict<StoredRequests>> =>
  inSlotTransaction(shards.pool(shardId, 'ingest'), {
    slots: requests.map(({deviceId}) => shards.slotOf(deviceId)),
    open: () => Promise.resolve(),
    deadline,
    async work(client) {
      const found = await client.query<{deviceKey: number; deviceId: string}>({
        name: 'request-devices',
        text: `select device_key as "deviceKey", device_id as "deviceId" from device
               where device_id = any($1::uuid[]) and revoked_at is null`,
        values: [requests.map(({deviceId}) => deviceId)],
      });
      const keys = new Map(found.rows.map(({deviceId, deviceKey}) => [deviceId, deviceKey]));
      const commands = new Map<string, NewCommand>();
      const held = await findHeld(client, [...keys.values()]);
      const unknown: SyncRequest[] = [];
      const busy: SyncRequest[] = [];
      const stored: SyncRequest[] = [];
      for (const request of requests) {
        const deviceKey = keys.get(request.deviceId.toLowerCase());
        if (deviceKey === undefined) unknown.push(request);
        else if (held.has(deviceKey)) busy.push(request);
        else {
          stored.push(request);
          join(commands, commandOf(request, deviceKey, shards.slotOf(request.deviceId), newId()));
        }
      }
      if (commands.size > 0) await insertCommands(client, [...commands.values()]);
      return {stored, unknown, busy, moved: []};
    },
  });

/** Locks the commands that the devices have, and waits for none. @returns the devices of which somebody has one */
const findHeld = async (client: pg.PoolClient, deviceKeys: readonly number[]): Promise<ReadonlySet<number>> => {
  const found = await client.query<{deviceKey: number}>({
    name: 'commands-held',
    text: `with free as materialized (
             select device_key, type from device_command where device_key = any($1::bigint[]) order by device_key, type
             for update skip locked)
           select device_key as "deviceKey" from (
             select device_key, type from device_command where device_key = any($1::bigint[]) except select device_key, type from free) held`,
    values: [deviceKeys],
  });
  return new Set(found.rows.map(({deviceKey}) => deviceKey));
};

const commandOf = (request: SyncRequest, deviceKey: number, slot: number, commandId: string): NewCommand => {
  return {
    commandId,
    requestId: request.requestId,
    deviceKey,
    slot,
    type: `sync.${request.syncType}`,
    params: {},
    priority: request.priority,
    createdAtMs: Date.parse(request.timestamp),
    lifetimeMs: LIFETIME_MS,
  };
};

/** Requests of one kind for one device are one command, as urgent as the most urgent of them and as old as the newest: one that waited for days must not end it. */
const join = (commands: Map<string, NewCommand>, command: NewCommand): void => {
  const key = `${command.deviceKey}/${command.type}`;
  const before = commands.get(key);
  const isHigh = before?.priority === 'high' || command.priority === 'high';
  const newest = before !== undefined && createdAt(before) > createdAt(command) ? before : command;
  commands.set(key, {...newest, priority: isHigh ? 'high' : 'normal'});
};

const createdAt = ({createdAtMs}: NewCommand): number => createdAtMs ?? Infinity;

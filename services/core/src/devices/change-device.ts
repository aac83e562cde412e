import {isDeepStrictEqual} from 'node:util';
import type pg from 'pg';
import {type AuditAction, type AuditActor, type AuditedFields, type AuditEntry} from '../audit/audit-entry.ts';
import {writeAudit} from '../audit/write-audit.ts';
import {type Device, readDevice} from '../queries/devices.ts';
import {onOwner} from '../shards/on-owner.ts';
import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';
import {type GroupNames} from './groups.ts';
import {isInScope, type Scope} from './scope.ts';

/** How many tags a device may have. */
export const MAX_TAGS = 32;

/**
 * Whether the region lets a device in. `revoked`: it is shut out. `decommissioned`: it is shut out and out of service. Neither frees anything: its hardware id is
 * refused until it is `active` again.
 */
export type Standing = 'active' | 'revoked' | 'decommissioned';

/** What people may change of a device. What is absent stays. */
export interface DeviceChange {
  /** Null: it has none. */
  readonly name?: string | null | undefined;
  readonly groupId?: number | undefined;
  /** Null: that tag goes. Tags that are not named stay. */
  readonly tags?: Readonly<Record<string, string | null>> | undefined;
  readonly standing?: Standing | undefined;
}

export interface ChangeRequest {
  readonly deviceId: string;
  readonly change: DeviceChange;
  /** The groups whose devices the caller may change, as the device's group is before the change. */
  readonly scope: Scope;
  /** Who changes it: the audit has it. */
  readonly actor: AuditActor;
  /** By which the audit names groups. */
  readonly groups: Pick<GroupNames, 'nameOf'>;
  /** Revisions that the change may be made to. Absent: any. */
  readonly revisions?: readonly number[] | undefined;
}

/**
 * `done`: the device is as it was asked to be, also where it was so before. `stale`: it has another revision, and is not as it was asked to be. `absent`: there is no such
 * device in the scope. `too-many-tags`: it would have more than {@link MAX_TAGS}. Nothing is written but by `done`.
 */
export type ChangeOutcome =
  | {readonly kind: 'done' | 'stale'; readonly device: Device}
  | {readonly kind: 'absent'}
  | {readonly kind: 'too-many-tags'};

/** Changes a device in one transaction on its shard, and tells the audit. May be run again: what is so already is not changed. Whoever calls it tells the caches after that. */
export const changeDevice = (shards: Shards, request: ChangeRequest): Promise<ChangeOutcome> => {
  const slot = shards.slotOf(request.deviceId);
  return onOwner(shards, slot, (shardId) =>
    withOwnedSlots(shards.pool(shardId, 'ingest'), [slot], (client) => changeLocked(client, request)),
  );
};

const changeLocked = async (client: pg.PoolClient, request: ChangeRequest): Promise<ChangeOutcome> => {
  const {deviceId, change, scope, revisions} = request;
  const before = await lockDevice(client, deviceId);
  if (before === undefined || !isInScope(scope, before.groupId)) return {kind: 'absent'};
  const wanted = wantedOf(before, change);
  // Before the revision is looked at: a change whose answer was lost is not refused when it is repeated (RFC 9110, 13.1.1).
  if (isDeepStrictEqual(wanted, changeableOf(before))) return {kind: 'done', device: before};
  if (revisions?.includes(before.revision) === false) return {kind: 'stale', device: before};
  if (change.tags !== undefined && Object.keys(wanted.tags).length > MAX_TAGS) return {kind: 'too-many-tags'};
  await write(client, before, wanted);
  const device = await readDevice(client, deviceId);
  await writeAudit(client, entryOf(before, wanted, request));
  return device === undefined ? {kind: 'absent'} : {kind: 'done', device};
};

/** Read by a statement of its own, because one that waited for a lock has an old version of what it joins. */
const lockDevice = async (client: pg.PoolClient, deviceId: string): Promise<Device | undefined> => {
  await client.query({
    name: 'device-lock',
    text: 'select from device where device_id = $1 for update',
    values: [deviceId],
  });
  return readDevice(client, deviceId);
};

/** All of a device that people may change. */
interface Changeable extends Pick<Device, 'name' | 'groupId' | 'tags'> {
  readonly standing: Standing;
}

const standingOf = ({revokedAt, decommissionedAt}: Device): Standing => {
  if (decommissionedAt !== null) return 'decommissioned';
  return revokedAt === null ? 'active' : 'revoked';
};

const changeableOf = (device: Device): Changeable => {
  const {name, groupId, tags} = device;
  return {name, groupId, tags, standing: standingOf(device)};
};

const wantedOf = (before: Device, {name, groupId, tags, standing}: DeviceChange): Changeable => {
  const now = changeableOf(before);
  return {
    name: name === undefined ? now.name : name,
    groupId: groupId ?? now.groupId,
    tags: tags === undefined ? now.tags : mergedTags(now.tags, tags),
    // Whoever is decommissioned is revoked.
    standing: standing === 'revoked' && now.standing === 'decommissioned' ? now.standing : (standing ?? now.standing),
  };
};

const mergedTags = (
  before: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Readonly<Record<string, string>> => {
  const tags = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) tags.delete(key);
    else tags.set(key, value);
  }
  return Object.fromEntries(tags);
};

const ACTION: Readonly<Record<Standing, AuditAction>> = {
  active: 'device.reinstate',
  revoked: 'device.revoke',
  decommissioned: 'device.decommission',
};

const entryOf = (device: Device, after: Changeable, {actor, groups}: ChangeRequest): AuditEntry => {
  const before = changeableOf(device);
  return {
    actor,
    action: before.standing === after.standing ? 'device.change' : ACTION[after.standing],
    object: {kind: 'device', id: device.deviceId},
    // Who sees one of its groups alone is not told where it went.
    scope: [...new Set([before.groupId, after.groupId])],
    before: changedOf(before, after, groups),
    after: changedOf(after, before, groups),
  };
};

/** What of `one` is not so in the other. */
const changedOf = (one: Changeable, other: Changeable, groups: ChangeRequest['groups']): AuditedFields => {
  const [own, others] = [new Map(Object.entries(one.tags)), new Map(Object.entries(other.tags))];
  const tags = [...new Set([...own.keys(), ...others.keys()])].filter((key) => own.get(key) !== others.get(key));
  return {
    ...(one.name === other.name ? {} : {name: one.name}),
    ...(one.groupId === other.groupId ? {} : {group: groups.nameOf(one.groupId)}),
    ...(tags.length === 0 ? {} : {tags: Object.fromEntries(tags.map((key) => [key, own.get(key) ?? null]))}),
    ...(one.standing === other.standing ? {} : {standing: one.standing}),
  };
};

const write = async (
  client: pg.PoolClient,
  {deviceKey, groupId}: Device,
  {name, tags, standing, ...wanted}: Changeable,
): Promise<void> => {
  await client.query({
    name: 'device-change',
    text: `update device set name = $2, tags = $3, revision = revision + 1,
                  revoked_at = case when $4 <> 'active' then coalesce(revoked_at, now()) end,
                  decommissioned_at = case when $4 = 'decommissioned' then coalesce(decommissioned_at, now()) end,
                  tx_id = pg_current_xact_id()::text::bigint
           where device_key = $1`,
    values: [deviceKey, name, JSON.stringify(tags), standing],
  });
  if (wanted.groupId === groupId) return;
  // Who writes a status has the device's state before: others, who have it, take it that nobody else has the row of the status.
  await client.query({
    name: 'device-state-lock',
    text: 'select from device_state where device_key = $1 for update',
    values: [deviceKey],
  });
  await client.query({
    name: 'device-move',
    text: `update device_status set group_id = $2, tx_id = pg_current_xact_id()::text::bigint where device_key = $1`,
    values: [deviceKey, wanted.groupId],
  });
};

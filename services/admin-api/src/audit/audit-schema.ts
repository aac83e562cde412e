import {z} from 'zod';
import type {AuditQuery, ListedRow} from '@pisync/core/audit/audit-list';
import type {GroupNames} from '@pisync/core/devices/groups';
import type {Scope} from '@pisync/core/devices/scope';
import {isStorableText} from '@pisync/core/json/storable';
import {givenTime, inUtc, timestamp} from '../paging/page-schema.ts';

const text = z.string().min(1).max(256).refine(isStorableText, 'has a character that cannot be stored');

/** Which entries: what is given holds together. */
export const auditFilter = {
  actor: text.optional().describe('Name of an API token, whole.'),
  action: text.optional().describe('As `device.request-sync`.'),
  objectKind: text.optional().describe('As `device`.'),
  objectId: text.optional(),
  since: givenTime.optional().describe('Not before this.'),
  until: givenTime.optional().describe('Before this.'),
} as const;

export const auditQuery = (
  {actor, action, objectKind, objectId, since, until}: z.output<z.ZodObject<typeof auditFilter>>,
  scope: Scope,
): AuditQuery => ({
  ...{scope, actor, action, objectKind, objectId},
  since: since === undefined ? undefined : inUtc(since),
  until: until === undefined ? undefined : inUtc(until),
});

const fields = z.record(z.string(), z.unknown()).nullable();

export const auditEntrySchema = z.object({
  id: z.uuid(),
  state: z.enum(['chained', 'pending']).describe('pending: written, and not yet in the chain.'),
  seq: z.int().nullable().describe('Its place in the chain.'),
  at: timestamp,
  actor: z.string().describe('Name of the API token that did it.'),
  actorTokenId: z.uuid().nullable().describe('Null: the token of the Secret.'),
  role: z.string(),
  action: z.string(),
  objectKind: z.string(),
  objectId: z.string(),
  groups: z.array(z.string()).nullable().describe('The groups that it concerns; null: the region as a whole.'),
  before: fields.describe('What it took away.'),
  after: fields.describe('What it put there.'),
  requestId: z.string().nullable(),
  address: z.string().nullable().describe('Where it came from, as the nearest proxy says.'),
  shard: z.int().describe('The shard that wrote it.'),
  counter: z.int().describe('Counts the entries of that shard.'),
  mac: z.string().nullable().describe('Signs it together with the one before it.'),
});
export type AuditEntryView = z.output<typeof auditEntrySchema>;

/** Written by us, as an object. */
const parsed = (json: string | null): Record<string, unknown> | null =>
  json === null ? null : (JSON.parse(json) as Record<string, unknown>);

export const showAuditEntry = (row: ListedRow, names: GroupNames): AuditEntryView => ({
  id: row.id,
  state: row.seq === null ? 'pending' : 'chained',
  seq: row.seq,
  at: row.at,
  actor: row.actor,
  actorTokenId: row.actorToken,
  role: row.role,
  action: row.action,
  objectKind: row.objectKind,
  objectId: row.objectId,
  groups: row.groupIds?.map((groupId) => names.nameOf(groupId)) ?? null,
  before: parsed(row.before),
  after: parsed(row.after),
  requestId: row.requestId,
  address: row.address,
  shard: row.fromShard,
  counter: row.counter,
  mac: row.mac?.toString('hex') ?? null,
});

import type pg from 'pg';
import type {AuditActor, AuditAction, AuditedFields} from '../audit/audit-entry.ts';
import {writeAudit} from '../audit/write-audit.ts';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import type {Scope} from '../devices/scope.ts';
import {type FilterNode, refuseFilter} from '../filters/parse-filter.ts';
import {groupsInSaved, savedFilter, shownFilter} from '../filters/saved-filter.ts';
import {inTransaction} from '../shards/in-transaction.ts';
import {onceMore} from '../shards/once-more.ts';
import type {Shards} from '../shards/shards.ts';

/** A group as people administer it. */
export interface GroupRow {
  readonly groupId: number;
  readonly name: string;
  /** As it is kept, with groups by number. Null: the group is static, and devices are in it. */
  readonly saved: string | null;
  /** The same as people write it. */
  readonly filter: string | null;
  readonly revision: number;
  readonly createdAt: Date;
}

/** Groups of a region. All of them are read at once where names are needed. Those that were deleted count among `rows` until the keeper removes them. */
export const MOST_GROUPS = {living: 1_000, dynamic: 100, rows: 3_000} as const;

interface NewGroup {
  readonly name: string;
  /** Undefined: it is static. */
  readonly filter: FilterNode | undefined;
  /** Of the call that makes it: with it no other group is made. */
  readonly callHash: Buffer;
}

interface GroupChange {
  readonly name?: string | undefined;
  /** Of a dynamic group. */
  readonly filter?: FilterNode | undefined;
}

interface GroupChangeRequest {
  readonly groupId: number;
  readonly change: GroupChange;
  /** Revisions that the change may be made to; undefined: any. */
  readonly revisions: readonly number[] | undefined;
  readonly actor: AuditActor;
}

type Refusal = {readonly kind: 'name-taken' | 'too-many' | 'absent' | 'is-static'};

/** `repeated`: the call made this group before. */
type AddOutcome = {readonly kind: 'done' | 'repeated'; readonly group: GroupRow} | Refusal;
/** `done`: it is as it was asked to be, also where it was so before. `stale`: it has another revision, and is not so. */
type GroupChangeOutcome = {readonly kind: 'done' | 'stale'; readonly group: GroupRow} | Refusal;

/** What goes by a group, and would go by none. */
export interface GroupUses {
  /** Tokens that work, or would for their devices. */
  readonly enrolmentTokens: number;
  readonly apiTokens: number;
  /** Names of dynamic groups whose filters ask for it. */
  readonly dynamicGroups: readonly string[];
}
/** `done`: also where it was deleted before. `default`: the token of the Secret is for it. */
type RemoveOutcome = {readonly kind: 'done' | 'absent' | 'default'} | ({readonly kind: 'in-use'} & GroupUses);

export interface GroupTable {
  /** In the order of the bytes of their names. Who has a scope sees its groups alone, and no dynamic ones. */
  list(
    scope: Scope,
    page: {
      readonly kind: 'static' | 'dynamic' | undefined;
      /** The last name of the page before. */
      readonly after: string | undefined;
      readonly limit: number;
    },
  ): Promise<readonly GroupRow[]>;
  find(scope: Scope, groupId: number): Promise<GroupRow | undefined>;
  /** @throws AppError `bad-request` where the filter asks for a group that is not there, or for a dynamic one */
  add(group: NewGroup, actor: AuditActor): Promise<AddOutcome>;
  /** @throws AppError as `add` does */
  change(request: GroupChangeRequest): Promise<GroupChangeOutcome>;
  /** @param requireEmpty looks whether devices are in a static group, and throws where some are. A device that comes in meanwhile stays in what is deleted. */
  remove(groupId: number, actor: AuditActor, requireEmpty: () => Promise<void>): Promise<RemoveOutcome>;
}

type Client = Pick<pg.ClientBase, 'query'>;
type StoredRow = Omit<GroupRow, 'filter'>;

const COLUMNS = 'group_id as "groupId", name, filter as saved, revision, created_at as "createdAt"';

// All of it asks the primary: a replica may not know yet of what was made a moment ago.
export const createGroupTable = (shards: Shards): GroupTable => {
  const pool = (): pg.Pool => shards.control('ingest');
  const transaction = <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
    onceMore(() =>
      inTransaction(pool(), async (client) => {
        await takeTurns(client);
        return work(client);
      }),
    );
  const read = (text: string, values: readonly unknown[]): Promise<readonly GroupRow[]> =>
    onceMore(async () => {
      const found = await pool().query<StoredRow>(`select ${COLUMNS} from control.device_group ${text}`, [...values]);
      return shown(pool(), found.rows);
    });
  const inScope = '($1::int[] is null or (filter is null and group_id = any($1)))';

  return {
    list: (scope, {kind, after, limit}) =>
      read(
        `where deleted_at is null and ${inScope} and ($2::boolean is null or (filter is not null) = $2) and ($3::text is null or name collate "C" > $3)
         order by name collate "C" limit $4`,
        [scope ?? null, kind === undefined ? null : kind === 'dynamic', after ?? null, limit],
      ),
    async find(scope, groupId) {
      return (await read(`where deleted_at is null and ${inScope} and group_id = $2`, [scope ?? null, groupId]))[0];
    },
    add({name, filter, callHash}, actor) {
      // Of a try whose answer was lost it is known that it was the first to make it.
      let wasThere: boolean | undefined;
      return transaction(async (client): Promise<AddOutcome> => {
        const before = await readOne(client, 'call_hash = $1', callHash);
        wasThere ??= before !== undefined;
        if (before !== undefined) return {kind: wasThere ? 'repeated' : 'done', group: before};
        const refusal = await refusalOf(client, name, filter !== undefined);
        if (refusal !== undefined) return {kind: refusal};
        const saved = filter === undefined ? null : savedFilter(filter, await staticGroups(client));
        const {rows} = await client.query<StoredRow>(INSERT, [name, saved, callHash]);
        const [group] = await shown(client, rows);
        if (group === undefined) return {kind: 'absent'};
        await tell(client, 'group.create', actor, group, {after: fieldsOf(group)});
        return {kind: 'done', group};
      });
    },
    change: ({groupId, change, revisions, actor}) =>
      transaction(async (client): Promise<GroupChangeOutcome> => {
        const before = await readOne(client, 'deleted_at is null and group_id = $1', groupId);
        if (before === undefined) return {kind: 'absent'};
        if (change.filter !== undefined && before.saved === null) return {kind: 'is-static'};
        const name = change.name ?? before.name;
        const saved =
          change.filter === undefined ? before.saved : savedFilter(change.filter, await staticGroups(client));
        // Before the revision is looked at: a change whose answer was lost is not refused when it is repeated (RFC 9110, 13.1.1).
        if (name === before.name && saved === before.saved) return {kind: 'done', group: before};
        if (revisions?.includes(before.revision) === false) return {kind: 'stale', group: before};
        if (name !== before.name && (await isTaken(client, name))) return {kind: 'name-taken'};
        const {rows} = await client.query<StoredRow>(
          `update control.device_group set name = $2, filter = $3, revision = revision + 1 where group_id = $1 returning ${COLUMNS}`,
          [groupId, name, saved],
        );
        const [after] = await shown(client, rows);
        if (after === undefined) return {kind: 'absent'};
        await tell(client, 'group.change', actor, after, changesOf(before, after));
        return {kind: 'done', group: after};
      }),
    async remove(groupId, actor, requireEmpty) {
      const known = await onceMore(() => readOne(pool(), 'deleted_at is null and group_id = $1', groupId));
      if (known?.groupId === DEFAULT_GROUP) return {kind: 'default'};
      if (known?.saved === null) await requireEmpty();
      return transaction(async (client): Promise<RemoveOutcome> => {
        // Who is just making a token for it is waited for.
        await client.query('select from control.device_group where group_id = $1 for update', [groupId]);
        const group = await readOne(client, 'deleted_at is null and group_id = $1', groupId);
        if (group === undefined) {
          const isDeleted = (await readOne(client, 'group_id = $1', groupId)) !== undefined;
          return {kind: isDeleted ? 'done' : 'absent'};
        }
        const uses = await usesOf(client, groupId);
        if (uses !== undefined) return {kind: 'in-use', ...uses};
        await client.query(
          'update control.device_group set deleted_at = now(), revision = revision + 1 where group_id = $1',
          [groupId],
        );
        await tell(client, 'group.delete', actor, group, {before: fieldsOf(group)});
        return {kind: 'done'};
      });
    },
  };
};

/** Groups are made, changed and deleted one after the other, so that what is counted and what filters name stays true. The group `default` is always there. */
const takeTurns = async (client: Client): Promise<void> => {
  await client.query('select from control.device_group where group_id = $1 for no key update', [DEFAULT_GROUP]);
};

/** Its number is never another group's: by the clock, because a shard 0 that comes back from a backup, or empty, does not know which ones devices of other shards have. */
const INSERT = `
  insert into control.device_group (group_id, name, filter, call_hash) overriding system value
  select greatest(max(group_id) + 1, extract(epoch from now() - timestamptz '2026-01-01')::int), $1, $2, $3 from control.device_group
  returning ${COLUMNS}`;

/** With filters as people write them. */
const shown = async (client: Client, rows: readonly StoredRow[]): Promise<readonly GroupRow[]> => {
  const named = new Set(rows.flatMap(({saved}) => (saved === null ? [] : [...groupsInSaved(saved)])));
  const names = new Map<number, string>();
  if (named.size > 0) {
    const found = await client.query<{groupId: number; name: string}>(
      'select group_id as "groupId", name from control.device_group where group_id = any($1)',
      [[...named].filter(Number.isInteger)],
    );
    for (const {groupId, name} of found.rows) names.set(groupId, name);
  }
  return rows.map((row) => ({
    ...row,
    filter: row.saved === null ? null : shownFilter(row.saved, (id) => names.get(id) ?? `group ${id}`),
  }));
};

const readOne = async (client: Client, where: string, value: unknown): Promise<GroupRow | undefined> => {
  const {rows} = await client.query<StoredRow>(`select ${COLUMNS} from control.device_group where ${where}`, [value]);
  return (await shown(client, rows))[0];
};

const isTaken = async (client: Client, name: string): Promise<boolean> => {
  const found = await client.query('select from control.device_group where name = $1 and deleted_at is null', [name]);
  return found.rowCount !== 0;
};

const refusalOf = async (
  client: Client,
  name: string,
  isDynamic: boolean,
): Promise<'name-taken' | 'too-many' | undefined> => {
  if (await isTaken(client, name)) return 'name-taken';
  const {rows} = await client.query<{living: number; dynamic: number; rows: number}>(
    `select count(*) filter (where deleted_at is null) as living, count(*) filter (where deleted_at is null and filter is not null) as dynamic,
            count(*) as rows from control.device_group`,
  );
  const [count] = rows;
  const isFull =
    count === undefined ||
    count.living >= MOST_GROUPS.living ||
    count.rows >= MOST_GROUPS.rows ||
    (isDynamic && count.dynamic >= MOST_GROUPS.dynamic);
  return isFull ? 'too-many' : undefined;
};

/** The number of a group that a filter asks for. */
const staticGroups = async (client: Client): Promise<(name: string, at: number) => number> => {
  const {rows} = await client.query<{groupId: number; name: string; isDynamic: boolean}>(
    'select group_id as "groupId", name, filter is not null as "isDynamic" from control.device_group where deleted_at is null',
  );
  const byName = new Map(rows.map((row) => [row.name, row]));
  return (name, at) => {
    const group = byName.get(name);
    if (group === undefined) return refuseFilter(`asks for the group "${name.slice(0, 64)}", which is not there`, at);
    if (group.isDynamic) refuseFilter(`asks for "${name}", a dynamic group; the filter of one is of static groups`, at);
    return group.groupId;
  };
};

/** Undefined: there is nothing that goes by it. */
const usesOf = async (client: Client, groupId: number): Promise<GroupUses | undefined> => {
  const {rows} = await client.query<Pick<GroupUses, 'enrolmentTokens' | 'apiTokens'>>(
    `select (select count(*) from control.enrolment_token
             where group_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())) as "enrolmentTokens",
            (select count(*) from control.api_token
             where $1 = any(group_ids) and revoked_at is null and (expires_at is null or expires_at > now())) as "apiTokens"`,
    [groupId],
  );
  const dynamic = await client.query<{name: string; filter: string}>(
    'select name, filter from control.device_group where filter is not null and deleted_at is null order by name collate "C"',
  );
  const dynamicGroups = dynamic.rows.filter(({filter}) => groupsInSaved(filter).has(groupId)).map(({name}) => name);
  const {enrolmentTokens, apiTokens} = rows[0] ?? {enrolmentTokens: 0, apiTokens: 0};
  if (enrolmentTokens === 0 && apiTokens === 0 && dynamicGroups.length === 0) return undefined;
  return {enrolmentTokens, apiTokens, dynamicGroups};
};

const fieldsOf = ({name, filter}: GroupRow): AuditedFields => ({name, ...(filter === null ? {} : {filter})});

const changesOf = (before: GroupRow, after: GroupRow) => {
  const told = ({name, filter}: GroupRow): AuditedFields => ({
    ...(before.name === after.name ? {} : {name}),
    ...(before.saved === after.saved ? {} : {filter}),
  });
  return {before: told(before), after: told(after)};
};

/** Who is for some groups is told of these; of dynamic ones he knows nothing. */
const tell = (
  client: Client,
  action: AuditAction,
  actor: AuditActor,
  {groupId, saved}: GroupRow,
  fields: {readonly before?: AuditedFields; readonly after?: AuditedFields},
): Promise<void> =>
  writeAudit(client, {
    actor,
    action,
    object: {kind: 'group', id: String(groupId)},
    scope: saved === null ? [groupId] : undefined,
    ...fields,
  });

import {AppError} from '../errors/app-error.ts';
import type {FilterNode} from '../filters/parse-filter.ts';
import {readSavedFilter} from '../filters/saved-filter.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import {onceMore} from '../shards/once-more.ts';
import {type Shards} from '../shards/shards.ts';

/** Of the group `default`, which the schema begins with: of devices that enrol with the token of the Secret. */
export const DEFAULT_GROUP = 1;

/** Groups by number and by name, as the control schema had them a moment ago. */
export interface GroupNames {
  /** Of a group that was made since, its number in words. */
  nameOf(groupId: number): string;
  /** Of a static group, which devices are in. Undefined when there is no such group. @throws AppError `shard-unavailable` when nobody knows */
  idOf(name: string): number | undefined;
  /** What a dynamic group asks for, with static groups by number. Otherwise as `idOf`. @throws AppError `bad-request` when this release cannot read it */
  filterOf(name: string): FilterNode | undefined;
}

export interface Groups {
  /** At most some seconds old; older while shard 0 does not answer. When it never did there are numbers instead of names. */
  names(): Promise<GroupNames>;
  /** Something has changed: the next reader is told of it. */
  forget(): void;
}

const FRESH_MS = 5_000;
/** So long a page waits for new names; then it has the old ones. */
const PATIENCE_MS = 1_000;

/** @param monotonic milliseconds */
export const createGroups = (shards: Shards, monotonic: () => number): Groups => {
  let known: {readonly names: GroupNames; readonly readAtMs: number} | undefined;
  let reading: Promise<GroupNames> | undefined;

  /** Counts what was told of: who began to read before that knows nothing of it. */
  let changes = 0;

  const read = async (): Promise<GroupNames> => {
    const began = changes;
    const found = await onceMore(() =>
      shards.control('ingest').query<KnownGroup>({
        name: 'groups',
        text: 'select group_id as "groupId", name, filter, deleted_at is not null as "isDeleted" from control.device_group',
      }),
    );
    const names = namesIn(found.rows);
    if (began === changes) known = {names, readAtMs: monotonic()};
    return names;
  };
  const readOnce = (): Promise<GroupNames> => {
    if (reading !== undefined) return reading;
    const mine = read().finally(() => {
      if (reading === mine) reading = undefined;
    });
    reading = mine;
    return mine;
  };

  return {
    async names() {
      if (known !== undefined && monotonic() - known.readAtMs < FRESH_MS) return known.names;
      const before = known?.names;
      try {
        return await (before === undefined ? readOnce() : withTimeout(readOnce(), PATIENCE_MS, 'shard 0 is slow'));
      } catch (cause) {
        // Not asked again for a while: otherwise each page would wait.
        known = {names: before ?? unknownNames(cause), readAtMs: monotonic()};
        return known.names;
      }
    },
    forget() {
      changes++;
      reading = undefined;
      if (known !== undefined) known = {...known, readAtMs: -Infinity};
    },
  };
};

interface FoundGroup {
  readonly groupId: number;
  /** Then no device is in it: it is for looking alone. */
  readonly isDynamic: boolean;
}

/** Groups by name, as they are now. Names that no group has are not among them. */
export const findGroups = async (
  shards: Shards,
  names: readonly string[],
): Promise<ReadonlyMap<string, FoundGroup>> => {
  const found = await onceMore(() =>
    shards.control('ingest').query<FoundGroup & {readonly name: string}>(
      `select name, group_id as "groupId", filter is not null as "isDynamic" from control.device_group
       where name = any($1) and deleted_at is null`,
      [names],
    ),
  );
  return new Map(found.rows.map(({name, ...group}) => [name, group]));
};

interface KnownGroup {
  readonly groupId: number;
  readonly name: string;
  readonly filter: string | null;
  readonly isDeleted: boolean;
}

const namesIn = (rows: readonly KnownGroup[]): GroupNames => {
  const byId = new Map(rows.map((row) => [row.groupId, row]));
  const byName = new Map(rows.filter(({isDeleted}) => !isDeleted).map((row) => [row.name, row]));
  return {
    nameOf(groupId) {
      const row = byId.get(groupId);
      if (row === undefined) return numbered(groupId);
      return row.isDeleted ? `${row.name} (deleted)` : row.name;
    },
    idOf(name) {
      const row = byName.get(name);
      return row?.filter === null ? row.groupId : undefined;
    },
    filterOf(name) {
      const filter = byName.get(name)?.filter ?? null;
      if (filter === null) return undefined;
      const node = readSavedFilter(filter);
      if (node !== undefined) return node;
      const detail = `names the group "${name}", whose own filter this release cannot read`;
      throw new AppError('bad-request', `The filter cannot be used: it ${detail}.`, {
        errors: [{pointer: '/filter', detail}],
      });
    },
  };
};

const numbered = (groupId: number): string => `group ${groupId}`;

const unknownNames = (cause: unknown): GroupNames => {
  const nobodyKnows = (): never => {
    throw new AppError('shard-unavailable', 'the names of groups cannot be read: shard 0 does not answer', {cause});
  };
  return {nameOf: numbered, idOf: nobodyKnows, filterOf: nobodyKnows};
};

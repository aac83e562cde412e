import {AppError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import {onceMore} from '../shards/once-more.ts';
import {type Shards} from '../shards/shards.ts';

/** Of the group `default`, which the schema begins with: of devices that enrol with the token of the Secret. */
export const DEFAULT_GROUP = 1;

/** Groups by number and by name, as the control schema had them a moment ago. */
export interface GroupNames {
  /** Of a group that was made since, its number in words. */
  nameOf(groupId: number): string;
  /** Undefined when there is no such group. @throws AppError `shard-unavailable` when nobody knows */
  idOf(name: string): number | undefined;
}

export interface Groups {
  /** At most some seconds old; older while shard 0 does not answer. When it never did there are numbers instead of names. */
  names(): Promise<GroupNames>;
}

const FRESH_MS = 5_000;
/** So long a page waits for new names; then it has the old ones. */
const PATIENCE_MS = 1_000;

/** @param monotonic milliseconds */
export const createGroups = (shards: Shards, monotonic: () => number): Groups => {
  let known: {readonly names: GroupNames; readonly readAtMs: number} | undefined;
  let reading: Promise<GroupNames> | undefined;

  const read = async (): Promise<GroupNames> => {
    const found = await onceMore(() =>
      shards.control('ingest').query<{groupId: number; name: string}>({
        name: 'groups',
        text: 'select group_id as "groupId", name from control.device_group',
      }),
    );
    const byId = new Map(found.rows.map(({groupId, name}) => [groupId, name]));
    const byName = new Map(found.rows.map(({groupId, name}) => [name, groupId]));
    const names: GroupNames = {
      nameOf: (groupId) => byId.get(groupId) ?? numbered(groupId),
      idOf: (name) => byName.get(name),
    };
    known = {names, readAtMs: monotonic()};
    return names;
  };
  const readOnce = (): Promise<GroupNames> => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
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
  };
};

/** The numbers of groups by name, as they are now. Names that no group has are not among them. */
export const findGroups = async (shards: Shards, names: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  const found = await onceMore(() =>
    shards.control('ingest').query<{
      groupId: number;
      name: string;
    }>('select group_id as "groupId", name from control.device_group where name = any($1)', [names]),
  );
  return new Map(found.rows.map(({groupId, name}) => [name, groupId]));
};

const numbered = (groupId: number): string => `group ${groupId}`;

const unknownNames = (cause: unknown): GroupNames => ({
  nameOf: numbered,
  idOf() {
    throw new AppError('shard-unavailable', 'the names of groups cannot be read: shard 0 does not answer', {cause});
  },
});

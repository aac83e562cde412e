import {findGroups} from '@pisync/core/devices/groups';
import {isInScope, type Scope} from '@pisync/core/devices/scope';
import type {Shards} from '@pisync/core/shards/shards';
import {badMember} from '../http/parse.ts';

/**
 * The numbers of groups that devices can be in, in the order of their names.
 * @param pointerTo where the name at a place stands in the body
 * @throws AppError `bad-request` for a group that is not there, or is none of the scope, or is dynamic
 */
export const staticGroups = async (
  shards: Shards,
  names: readonly string[],
  scope: Scope,
  pointerTo: (index: number) => string,
): Promise<readonly number[]> => {
  const known = await findGroups(shards, names);
  return names.map((name, index) => {
    const group = known.get(name);
    if (group === undefined || !isInScope(scope, group.groupId))
      throw badMember(pointerTo(index), 'there is no such group');
    if (group.isDynamic) throw badMember(pointerTo(index), 'is a dynamic group, in which no device can be');
    return group.groupId;
  });
};

/** {@link staticGroups} of one. */
export const staticGroup = async (shards: Shards, name: string, scope: Scope, pointer: string): Promise<number> => {
  const found = await staticGroups(shards, [name], scope, () => pointer);
  // One name, so one number.
  return found[0] as number;
};

import {isInScope, type Scope} from '@pisync/core/devices/scope';
import {allOf, type DeviceCondition, type FilterWorld} from '@pisync/core/filters/device-condition';
import {type DeviceFilter, filterConditions, requireIndexed} from '../filters/device-filter.ts';

export interface Listed {
  readonly scope: Scope;
  /** Part of a name or hardware id, or how an id begins. */
  readonly q: string | undefined;
  readonly filter: DeviceFilter;
  readonly world: FilterWorld;
}

/** All that a device of a list or a count fulfils, whoever asks: the one place where conditions are joined. */
export const listCondition = ({scope, q, filter, world}: Listed): DeviceCondition => {
  const scoped: readonly DeviceCondition[] =
    scope === undefined ? [] : [{kind: 'is', field: 'group', values: scope, not: false}];
  const search: readonly DeviceCondition[] = q === undefined || q === '' ? [] : [{kind: 'search', text: q}];
  const asked = filterConditions(filter, {...world, groups: groupsIn(scope, world.groups)});
  return requireIndexed(allOf([...scoped, ...search, asked]));
};

/** Nobody learns whether a group that is none of his is there. A dynamic one may ask for any groups, so it is of who knows all of them. */
export const groupsIn = (scope: Scope, names: FilterWorld['groups']): FilterWorld['groups'] => ({
  filterOf: (name) => (scope === undefined ? names.filterOf(name) : undefined),
  idOf(name) {
    const groupId = names.idOf(name);
    return groupId !== undefined && isInScope(scope, groupId) ? groupId : undefined;
  },
});

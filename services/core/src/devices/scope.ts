/** The groups whose devices somebody may know of, by number, in ascending order. Undefined: all groups, also those that are made later. */
export type Scope = readonly number[] | undefined;

export const isInScope = (scope: Scope, groupId: number): boolean => scope === undefined || scope.includes(groupId);

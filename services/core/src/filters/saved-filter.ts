import {AppError} from '../errors/app-error.ts';
import {type FilterNode, parseFilter, withGroups, writeFilter} from './parse-filter.ts';

/**
 * How the filter of a dynamic group is kept: as people write filters, but with groups by their numbers, so that it stays right when one gets another name.
 * Fifty numbers of groups may be longer than their names, and quotes are added.
 */
const MAX_SAVED_LENGTH = 6000;

/** @param idOf the number of a group; throws where there is none */
export const savedFilter = (node: FilterNode, idOf: (name: string, at: number) => number): string =>
  writeFilter(withGroups(node, (name, at) => String(idOf(name, at))));

/** Undefined for what somebody else has written, or a newer release. */
export const readSavedFilter = (text: string): FilterNode | undefined => {
  try {
    return parseFilter(text, MAX_SAVED_LENGTH);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
};

/** The numbers of the groups that it asks for. */
export const groupsInSaved = (text: string): ReadonlySet<number> => {
  const found = new Set<number>();
  const node = readSavedFilter(text);
  if (node !== undefined) {
    withGroups(node, (group) => {
      found.add(Number(group));
      return group;
    });
  }
  return found;
};

/** As people read and write it. */
export const shownFilter = (text: string, nameOf: (groupId: number) => string): string => {
  const node = readSavedFilter(text);
  return node === undefined ? text : writeFilter(withGroups(node, (group) => nameOf(Number(group))));
};

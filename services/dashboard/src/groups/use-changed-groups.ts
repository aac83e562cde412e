import {useQueryClient} from '@tanstack/react-query';
import {SUMMARY_QUERY_KEY} from '../summary/summary-query.ts';
import {GROUP_NAMES_KEY} from './use-groups.ts';

export const GROUPS_KEY = ['groups'] as const;

/** Has whatever shows groups read them again. */
export const useChangedGroups = (): (() => void) => {
  const queries = useQueryClient();
  return () => {
    for (const queryKey of [GROUPS_KEY, GROUP_NAMES_KEY, SUMMARY_QUERY_KEY]) void queries.invalidateQueries({queryKey});
  };
};

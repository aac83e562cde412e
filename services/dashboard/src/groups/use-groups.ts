import {useQuery} from '@tanstack/react-query';
import {useApi} from '../api/api-context.ts';
import type {GroupName} from '../api/types.ts';

export const GROUP_NAMES_KEY = ['group-names'] as const;

/** All groups that there are for who is signed in, by name. */
export const useGroups = (): readonly GroupName[] => {
  const api = useApi();
  const names = useQuery({queryKey: GROUP_NAMES_KEY, queryFn: ({signal}) => api.groupNames(signal)});
  return names.data ?? [];
};

/** Those that devices and tokens can be of. */
export const useStaticGroups = (): readonly string[] =>
  useGroups()
    .filter(({kind}) => kind === 'static')
    .map(({name}) => name);

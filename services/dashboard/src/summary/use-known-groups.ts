import {useQuery} from '@tanstack/react-query';
import {useApi} from '../api/api-context.ts';
import {SUMMARY_QUERY_KEY} from './summary-query.ts';

/** The groups that have devices. */
export const useKnownGroups = (): readonly string[] => {
  const api = useApi();
  const summary = useQuery({queryKey: SUMMARY_QUERY_KEY, queryFn: ({signal}) => api.summary(signal)});
  return (summary.data?.byGroup ?? []).map(({group}) => group);
};

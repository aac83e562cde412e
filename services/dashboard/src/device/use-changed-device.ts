import {type InfiniteData, useQueryClient} from '@tanstack/react-query';
import type {DeviceRow, OneDevice, Page} from '../api/types.ts';
import {SUMMARY_QUERY_KEY} from '../summary/summary-query.ts';

type DeviceList = InfiniteData<Page<DeviceRow>>;

/** Shows what a change of a device answered wherever the device is shown. Lists that were read keep their rows in their places. */
export const useChangedDevice = (): ((answer: OneDevice) => Promise<void>) => {
  const queries = useQueryClient();
  return async (answer) => {
    const {data: device} = answer;
    const queryKey = ['device', device.id];
    // An older one that is on its way.
    await queries.cancelQueries({queryKey, exact: true});
    queries.setQueryData<OneDevice>(queryKey, answer);
    const changed = (row: DeviceRow): DeviceRow => (row.id === device.id ? {...row, ...device} : row);
    for (const {queryKey: listKey, state} of queries.getQueryCache().findAll({queryKey: ['devices']})) {
      queries.setQueryData<DeviceList>(
        listKey,
        (list) =>
          list === undefined
            ? undefined
            : {...list, pages: list.pages.map((page) => ({...page, data: page.data.map(changed)}))},
        // Its other rows are as old as before.
        {updatedAt: state.dataUpdatedAt},
      );
    }
    void queries.invalidateQueries({queryKey: SUMMARY_QUERY_KEY});
  };
};

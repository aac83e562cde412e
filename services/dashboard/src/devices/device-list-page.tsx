import {keepPreviousData, useInfiniteQuery, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useEffect, useMemo} from 'react';
import {useApi} from '../api/api-context.ts';
import type {DeviceFilter} from '../api/client.ts';
import {Empty, Failed, Loading, PartialNotice} from '../layout/states.tsx';
import {Link, useNavigation} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {Ago} from '../time/time.tsx';
import {chosenColumns} from './columns.ts';
import {DeviceTable} from './device-table.tsx';
import {Filters} from './filters.tsx';

/** Left and come back to (Back) within this time, the list is as it was, scrolled pages included; later it is read anew. */
const REMEMBERED_MS = 600_000;
/** Gone to by a link, a list that was read longer ago than this is read anew. */
const FRESH_MS = 30_000;

const integer = new Intl.NumberFormat();

const countText = (loaded: number, more: boolean): string => {
  if (more) return `${integer.format(loaded)} loaded, more below`;
  return loaded === 0 ? 'No devices' : loaded === 1 ? '1 device' : `${integer.format(loaded)} devices`;
};

export const DeviceListPage = ({
  filter,
  columnNames,
}: {
  readonly filter: DeviceFilter;
  readonly columnNames: readonly string[] | null;
}): ReactNode => {
  const api = useApi();
  const columns = useMemo(() => chosenColumns(columnNames), [columnNames]);
  const queries = useQueryClient();
  const {step, place} = useNavigation();
  const queryKey = useMemo(() => ['devices', filter], [filter]);
  const list = useInfiniteQuery({
    queryKey,
    queryFn: ({pageParam, signal}) => api.devices(filter, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page.hasNextPage ? page.nextCursor : null),
    placeholderData: keepPreviousData,
    // Never read again by itself: that would be every page loaded so far. Its age is shown, and a button reads it anew.
    staleTime: ({state}) => (state.data === undefined ? 0 : 'static'),
    gcTime: REMEMBERED_MS,
  });
  useEffect(() => {
    if (place() !== undefined) return;
    const known = queries.getQueryState(queryKey);
    if (known?.data !== undefined && Date.now() - known.dataUpdatedAt > FRESH_MS) {
      void queries.resetQueries({queryKey, exact: true});
    }
  }, [step, place, queries, queryKey]);
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.data) ?? [], [list.data]);
  const partial = [...new Set(list.data?.pages.flatMap((page) => page.partial ?? []) ?? [])].sort();

  return (
    <div className="list-page">
      <div className="page-head">
        <h1>Devices</h1>
        <p className="faint">
          {list.data === undefined || list.isPlaceholderData ? null : (
            <>
              <span role="status">{countText(rows.length, list.hasNextPage)}</span> · as of{' '}
              <Ago at={list.data.pages[0]?.asOf} />
            </>
          )}
          <button
            type="button"
            className="button button-quiet"
            onClick={() => void queries.resetQueries({queryKey, exact: true})}
          >
            Read again
          </button>
        </p>
      </div>
      <Filters filter={filter} columns={columns} columnNames={columnNames} />
      <PartialNotice shards={partial} />
      {list.data === undefined || (list.isPlaceholderData && rows.length === 0) ? (
        list.error === null ? (
          <Loading what="devices" />
        ) : (
          <Failed what="devices" error={list.error} retry={() => void list.refetch()} />
        )
      ) : rows.length === 0 ? (
        <Empty title="No device matches">
          <Link href={devicesHref({}, columnNames)}>Show all devices</Link>
        </Empty>
      ) : (
        <DeviceTable
          key={JSON.stringify(filter)}
          rows={rows}
          columns={columns}
          dimmed={list.isPlaceholderData}
          more={{
            available: list.hasNextPage,
            loading: list.isFetchingNextPage,
            error: list.isFetchNextPageError ? list.error : null,
            load: () => void list.fetchNextPage(),
          }}
        />
      )}
    </div>
  );
};

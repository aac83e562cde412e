import {keepPreviousData, useInfiniteQuery, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useCallback, useEffect, useMemo} from 'react';
import {useApi} from '../api/api-context.ts';
import {type DeviceFilter, isFinal} from '../api/client.ts';
import {refetchMs} from '../api/retry.ts';
import {Empty, Failed, Loading, NotKnown, PartialNotice} from '../layout/states.tsx';
import {Link, useNavigation} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {Ago} from '../time/time.tsx';
import {chosenColumns} from './columns.ts';
import {DeviceTable} from './device-table.tsx';
import {Filters} from './filters.tsx';
import {cursorAfter, extentOf, extentText, rowsOf} from './list-extent.ts';

/** Left and come back to (Back) within this time, the list is as it was, scrolled pages included; later it is read anew. */
const REMEMBERED_MS = 600_000;
/** Gone to by a link, a list that was read longer ago than this is read anew. */
const FRESH_MS = 30_000;
/** Shards that did not answer are asked again after this. */
const ASK_AGAIN_MS = 10_000;

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
    getNextPageParam: cursorAfter,
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
  const rows = useMemo(() => rowsOf(list.data?.pages ?? []), [list.data]);
  const extent = useMemo(() => extentOf(list.data?.pages ?? []), [list.data]);
  const {hasMore, missing} = extent;
  const isEmpty = rows.length === 0;

  const {refetch, fetchNextPage, isFetching, error} = list;
  const isNew = isEmpty && !hasMore;
  const askMissing = useCallback(() => void (isNew ? refetch() : fetchNextPage()), [isNew, refetch, fetchNextPage]);
  // A page has what was found in the part that it looked at, which may be nothing.
  const looksOn = isEmpty && hasMore && !list.isPlaceholderData;
  const goesOn = looksOn && !isFetching && error === null;
  useEffect(() => {
    if (goesOn) void fetchNextPage();
  }, [goesOn, fetchNextPage]);
  const isCutOff = missing.length > 0 && !hasMore && !list.isPlaceholderData;
  const asksAgain = (isCutOff || (looksOn && error !== null)) && !isFetching && (error === null || !isFinal(error));
  useEffect(() => {
    if (!asksAgain) return;
    const timer = setTimeout(askMissing, refetchMs(ASK_AGAIN_MS, error));
    return () => clearTimeout(timer);
  }, [asksAgain, askMissing, error]);

  return (
    <div className="list-page">
      <div className="page-head">
        <h1>Devices</h1>
        <p className="faint">
          {list.data === undefined || list.isPlaceholderData ? null : (
            <>
              <span role="status">{extentText(extent)}</span> · as of <Ago at={list.data.pages[0]?.asOf} />
              <SortedAsOf at={list.data.pages[0]?.sortedAsOf} />
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
      {isEmpty ? null : <PartialNotice shards={missing} askAgain={isCutOff ? askMissing : undefined} />}
      {list.data === undefined || (list.isPlaceholderData && isEmpty) ? (
        list.error === null ? (
          <Loading what="devices" />
        ) : (
          <Failed what="devices" error={list.error} retry={() => void list.refetch()} />
        )
      ) : looksOn ? (
        error === null ? (
          <Loading what="devices: none matches so far" />
        ) : (
          <Failed what="devices" error={error} retry={askMissing} />
        )
      ) : isEmpty && missing.length > 0 ? (
        <NotKnown title="Nobody knows now which devices match" shards={missing} askAgain={askMissing} />
      ) : isEmpty ? (
        <Empty title="No device matches">
          <Link href={devicesHref({}, columnNames)}>Show all devices</Link>
        </Empty>
      ) : (
        <DeviceTable
          key={JSON.stringify({...filter, sort: undefined})}
          rows={rows}
          columns={columns}
          sort={filter.sort}
          sortHref={(sort) => devicesHref({...filter, sort}, columnNames)}
          dimmed={list.isPlaceholderData}
          more={{
            available: hasMore,
            isComplete: !hasMore && missing.length === 0,
            loading: list.isFetchingNextPage,
            error: list.isFetchNextPageError ? list.error : null,
            load: () => void fetchNextPage(),
          }}
        />
      )}
    </div>
  );
};

/** Rows are from now, and stand where they belonged then. */
const SortedAsOf = ({at}: {readonly at: string | null | undefined}): ReactNode =>
  at === undefined ? null : at === null ? (
    ', not sorted yet'
  ) : (
    <>
      , sorted as of <Ago at={at} />
    </>
  );

import {useInfiniteQuery, useQueryClient} from '@tanstack/react-query';
import type {ReactNode} from 'react';
import {pollMs} from '../api/retry.ts';
import type {Page} from '../api/types.ts';
import {Empty, Failed, Loading} from './states.tsx';
import {Ago} from '../time/time.tsx';

const REFETCH_MS = 15_000;
const FRESH_MS = 10_000;
/** Who has gone further back reads history; reading all of it again every time would cost a call a page. */
const LIVE_PAGES = 2;

const isLive = (pages: number | undefined): boolean => (pages ?? 0) <= LIVE_PAGES;

export interface TableColumn<Row> {
  readonly title: string;
  readonly numeric?: boolean;
  readonly cell: (row: Row) => ReactNode;
}

const NEWEST_FIRST = {begin: 'newest', further: 'older'};

/** A list, newest first unless `order` says otherwise, read page by page. */
export const PagedTable = <Row,>({
  queryKey,
  read,
  what,
  title,
  testId,
  columns,
  rowKey,
  empty,
  order = NEWEST_FIRST,
  lacking,
}: {
  readonly queryKey: readonly string[];
  readonly read: (cursor: string | null, signal: AbortSignal) => Promise<Page<Row>>;
  /** As it is called while it loads. */
  readonly what: string;
  readonly title: string;
  readonly testId: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly rowKey: (row: Row) => string;
  readonly empty: string;
  /** As its first rows, and those behind them, are called. */
  readonly order?: {readonly begin: string; readonly further: string};
  /** What is missing in a list where shards did not answer. */
  readonly lacking?: (shards: readonly string[]) => string;
}): ReactNode => {
  const queries = useQueryClient();
  const pages = useInfiniteQuery({
    queryKey,
    queryFn: ({pageParam, signal}) => read(pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page.hasNextPage ? page.nextCursor : null),
    refetchInterval: ({state}) => (isLive(state.data?.pages.length) ? pollMs(REFETCH_MS, state.error) : false),
    // Static: only the reader has it read again, no focus of the window does.
    staleTime: ({state}) => (isLive(state.data?.pages.length) ? FRESH_MS : 'static'),
  });
  if (pages.data === undefined) {
    return pages.error === null ? (
      <Loading what={what} />
    ) : (
      <Failed what={what} error={pages.error} retry={() => void pages.refetch()} />
    );
  }
  const rows = pages.data.pages.flatMap((page) => page.data);
  const silent = [...new Set(pages.data.pages.flatMap(({partial}) => partial ?? []))];
  return (
    <div>
      {lacking === undefined || silent.length === 0 ? null : (
        <p className="notice" role="status">
          <strong>Incomplete.</strong> {lacking(silent)}
        </p>
      )}
      {rows.length === 0 ? (
        <Empty title={empty} />
      ) : (
        // Who has no pointer scrolls it with the arrow keys.
        <div className="scroll-x" role="region" aria-label={title} tabIndex={0}>
          <table className="rows" data-testid={testId}>
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column.title} scope="col" className={column.numeric === true ? 'number' : undefined}>
                    {column.title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={rowKey(row)}>
                  {columns.map((column) => (
                    <td key={column.title} className={column.numeric === true ? 'number' : undefined}>
                      {column.cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {pages.isError ? (
        <p className="field-error show-more" role="alert">
          {pages.isFetchNextPageError ? `The ${order.further} ones did not come` : 'This cannot be read again now'}:{' '}
          <bdi>{pages.error.message}</bdi>
        </p>
      ) : null}
      {/* It stays when it has nothing to do, because it may have the focus. */}
      {pages.hasNextPage || pages.data.pages.length > 1 ? (
        <button
          type="button"
          className="button show-more"
          aria-disabled={pages.isFetchingNextPage || !pages.hasNextPage}
          onClick={() => {
            if (pages.hasNextPage && !pages.isFetchingNextPage) void pages.fetchNextPage();
          }}
        >
          {pages.isFetchingNextPage
            ? 'Loading…'
            : pages.hasNextPage
              ? `Show ${order.further}`
              : `Nothing ${order.further}`}
        </button>
      ) : null}
      {isLive(pages.data.pages.length) ? null : (
        <p className="faint show-more">
          Read <Ago at={pages.data.pages[0]?.asOf} />. With {order.further} ones shown it is not read again by itself.{' '}
          <button type="button" className="button" onClick={() => void queries.resetQueries({queryKey, exact: true})}>
            Show the {order.begin}
          </button>
        </p>
      )}
    </div>
  );
};

import {type KeyboardEvent, type ReactNode, useEffect, useRef, useState} from 'react';
import type {DeviceRow} from '../api/types.ts';
import {Link, useNavigation} from '../navigation/navigation.tsx';
import {placeWithin} from '../navigation/place.ts';
import {deviceHref} from '../navigation/view.ts';
import {Ago} from '../time/time.tsx';
import {type Column, directionOf, nextSort, SORT_OF} from './columns.ts';
import {visibleGroup, visibleName} from '../text/visible-name.ts';
import {StatusLabel} from './status.tsx';
import {useScrolledRows} from './use-scrolled-rows.ts';

const ROW_HEIGHT_PX = 36;
const HEAD_HEIGHT_PX = ROW_HEIGHT_PX;
/** The next page is asked for this many rows before the end: about two screens, so that a steady scroll never stops. */
const PREFETCH_ROWS = 60;

interface DeviceTableProps {
  readonly rows: readonly DeviceRow[];
  readonly columns: readonly Column[];
  /** What the rows are sorted by, and where the list is that is sorted otherwise. */
  readonly sort: string | undefined;
  readonly sortHref: (sort: string | undefined) => string;
  /** The rows are those of the filter before; the new ones are on their way. */
  readonly dimmed: boolean;
  readonly more: {
    readonly available: boolean;
    /** Whether all rows that there are have come. */
    readonly isComplete: boolean;
    readonly loading: boolean;
    readonly error: Error | null;
    readonly load: () => void;
  };
}

const integer = new Intl.NumberFormat();

/**
 * Only the rows on screen exist in the document. Tab reaches one row (the last one visited), the arrow keys, Page and Home move on from there.
 */
export const DeviceTable = ({rows, columns, sort, sortHref, dimmed, more}: DeviceTableProps): ReactNode => {
  const {place, keepPlace, notePlace} = useNavigation();
  const [start] = useState(() => placeWithin(place(), rows.length, HEAD_HEIGHT_PX + rows.length * ROW_HEIGHT_PX));
  const [active, setActive] = useState(start?.row ?? 0);
  // The row that is to get the focus. One far away is drawn only after the scroll: until then there is nothing to focus.
  const wanted = useRef(start?.row);
  // What failed before this was shown is tried again.
  const [errorBefore] = useState(more.error);
  const error = more.error === errorBefore ? null : more.error;
  const shown = useScrolledRows({
    count: rows.length,
    rowPx: ROW_HEIGHT_PX,
    headPx: HEAD_HEIGHT_PX,
    positionPx: start?.scrollPx ?? 0,
  });
  const {scroller, first, end, positionPx, scrollTo} = shown;
  // Another order begins at its top. The table stays, because the head that was used has the focus.
  const [sortBefore, setSortBefore] = useState(sort);
  if (sortBefore !== sort) {
    setSortBefore(sort);
    setActive(0);
  }
  const shownSort = useRef(sort);
  useEffect(() => {
    if (shownSort.current === sort) return;
    shownSort.current = sort;
    scrollTo(0);
  }, [sort, scrollTo]);
  // Where the last visited row was scrolled away, Tab enters at the first one on screen.
  const tabStop = active >= first && active < end ? active : shown.firstSeen;
  const seen = Array.from({length: Math.max(0, end - first)}, (_, place) => first + place);
  // It stays where it is, because it may have the focus: whoever scrolled away from it goes on from there with the keyboard.
  const drawn = active < first ? [active, ...seen] : active >= end ? [...seen, active] : seen;
  const wantsMore = more.available && !more.loading && error === null && end + PREFETCH_ROWS >= rows.length;

  useEffect(() => {
    if (wantsMore) more.load();
  }, [wantsMore, more]);

  useEffect(() => {
    keepPlace(() => ({scrollPx: positionPx(), row: active}));
    return () => keepPlace(null);
  }, [keepPlace, active, positionPx]);

  useEffect(() => {
    if (wanted.current === undefined) return;
    const link = scroller.current?.querySelector<HTMLElement>(`[data-index="${wanted.current}"] a`);
    if (link === null || link === undefined) return;
    wanted.current = undefined;
    // Nobody has it after Back and after the sign-in; a button outside of the table keeps it.
    const holder = document.activeElement;
    const isFree = holder === null || holder.contains(link) || scroller.current?.contains(holder) === true;
    if (isFree) link.focus({preventScroll: true});
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_HEIGHT_PX) - 2);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(rows.length - 1, Math.max(0, (wanted.current ?? active) + step));
    wanted.current = next;
    shown.scrollTo(next);
    setActive(next);
    // What the movement brings about, the end of the session for instance, may come before the browser says that it scrolled.
    notePlace();
  };

  const template = ['minmax(12rem, 2fr)', ...columns.map((column) => column.width)].join(' ');
  return (
    <div
      className={dimmed ? 'grid panel dimmed' : 'grid panel'}
      ref={scroller}
      onScroll={() => {
        shown.onScroll();
        notePlace();
      }}
    >
      <div
        role="table"
        aria-label="Devices"
        aria-rowcount={more.isComplete ? rows.length + 1 : -1}
        aria-colcount={columns.length + 1}
        aria-busy={dimmed || more.loading}
        onKeyDown={onKeyDown}
      >
        <div className="grid-inner" role="rowgroup">
          <div className="grid-row grid-head" role="row" aria-rowindex={1} style={{gridTemplateColumns: template}}>
            <Head title="Device" by={SORT_OF.name} sort={sort} hrefOf={sortHref} />
            {columns.map((column) => (
              <Head
                key={column.key}
                title={column.title}
                by={SORT_OF[column.key]}
                sort={sort}
                hrefOf={sortHref}
                className={column.numeric ? 'number' : undefined}
              />
            ))}
          </div>
        </div>
        <div className="grid-inner grid-body" role="rowgroup" style={{height: shown.bodyPx}}>
          {drawn.map((index) => {
            const row = rows[index];
            return row === undefined ? null : (
              <div
                key={row.id}
                className="grid-row"
                role="row"
                aria-rowindex={index + 2}
                data-index={index}
                data-testid="device-row"
                data-device-id={row.id}
                style={{
                  gridTemplateColumns: template,
                  transform: `translateY(${shown.topOf(index)}px)`,
                }}
              >
                <span role="cell" className="grid-name">
                  <Link
                    href={deviceHref(row.id)}
                    tabIndex={index === tabStop ? 0 : -1}
                    onFocus={() => {
                      setActive(index);
                      notePlace();
                    }}
                  >
                    {visibleName(row.name, row.id)}
                  </Link>
                  <span className="faint mono">{row.id.slice(0, 8)}</span>
                </span>
                {columns.map((column) => (
                  <span key={column.key} role="cell" className={column.numeric ? 'number' : undefined}>
                    <Cell row={row} column={column} />
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {more.loading ? (
        <p className="grid-foot faint" role="status">
          Loading more…
        </p>
      ) : null}
      {error === null ? null : (
        <p className="grid-foot" role="alert">
          The next rows did not come: <bdi>{error.message}</bdi>{' '}
          <button type="button" className="button" onClick={more.load}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
};

/** Of a column; a link where the list can be sorted by it. */
const Head = ({
  title,
  by,
  sort,
  hrefOf,
  className,
}: {
  readonly title: string;
  readonly by: string | undefined;
  readonly sort: string | undefined;
  readonly hrefOf: (sort: string | undefined) => string;
  readonly className?: string | undefined;
}): ReactNode => {
  if (by === undefined) {
    return (
      <span role="columnheader" className={className}>
        {title}
      </span>
    );
  }
  const direction = directionOf(sort, by);
  return (
    <span role="columnheader" className={className} aria-sort={direction}>
      <Link href={hrefOf(nextSort(sort, by))} replace>
        {title}
        <span aria-hidden="true">{{ascending: ' ↑', descending: ' ↓', none: ''}[direction]}</span>
      </Link>
    </span>
  );
};

const Cell = ({row, column}: {readonly row: DeviceRow; readonly column: Column}): ReactNode => {
  switch (column.key) {
    case 'status':
      return row.status === undefined ? null : <StatusLabel status={row.status} />;
    case 'lastSyncAt':
    case 'lastSeenAt':
    case 'enrolledAt':
      return <Ago at={row[column.key]} />;
    case 'recordsTotal':
    case 'syncsTotal': {
      const value = row[column.key];
      return value === undefined ? null : integer.format(value);
    }
    case 'shard':
      return row.shard === undefined ? null : `shard-${row.shard}`;
    case 'group':
      return row.group === undefined ? null : visibleGroup(row.group);
    case 'model': {
      const model = visibleName(row.model, '');
      return model === '' ? <span className="faint">–</span> : model;
    }
  }
};

import type {DeviceRow, Page} from '../api/types.ts';

/** How much of a list was read. */
export interface ListExtent {
  readonly rows: number;
  /** Whether there are more rows to be had at once. */
  readonly hasMore: boolean;
  /** Shards whose rows did not come yet: those that the last page says. What earlier pages missed has come with a later one since. */
  readonly missing: readonly string[];
  /** How many the whole list has, where that was counted. */
  readonly count: Page<DeviceRow>['count'];
}

/** Each device once. One whose value changed meanwhile may come twice: it stays in its place, and is what it was last. */
export const rowsOf = (pages: readonly Page<DeviceRow>[]): readonly DeviceRow[] => [
  ...new Map(pages.flatMap(({data}) => data.map((row) => [row.id, row] as const))).values(),
];

export const extentOf = (pages: readonly Page<DeviceRow>[]): ListExtent => {
  const last = pages.at(-1);
  return {
    rows: rowsOf(pages).length,
    hasMore: last?.hasNextPage ?? false,
    missing: last?.partial ?? [],
    count: pages[0]?.count,
  };
};

/** Where the list goes on: also behind its end while shards are missing, whose rows come with the page that they answer for. */
export const cursorAfter = (page: Page<DeviceRow>): string | null =>
  page.hasNextPage || (page.partial ?? []).length > 0 ? page.nextCursor : null;

const integer = new Intl.NumberFormat();

/** Says a number of devices that nobody can have more of, or how sure it is. */
export const extentText = ({rows, hasMore, missing, count}: ListExtent): string => {
  if (hasMore && rows === 0) return 'Still looking';
  if (hasMore && count !== undefined && count.value > rows)
    return `${count.atLeast ? 'at least ' : count.exact ? '' : 'about '}${integer.format(count.value)} devices, ${integer.format(rows)} loaded`;
  if (hasMore) return `${integer.format(rows)} loaded, more below`;
  if (missing.length > 0) return rows === 0 ? 'Not known now' : `${integer.format(rows)} loaded, others are missing`;
  return rows === 0 ? 'No devices' : rows === 1 ? '1 device' : `${integer.format(rows)} devices`;
};

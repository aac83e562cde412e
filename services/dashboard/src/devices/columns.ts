/** What the device list can show beside the name, in the order of the screen. */
export const COLUMNS = [
  {key: 'status', title: 'Status', width: '8.5rem', numeric: false},
  {key: 'group', title: 'Group', width: 'minmax(7rem, 1fr)', numeric: false},
  {key: 'lastSyncAt', title: 'Last sync', width: '8rem', numeric: false},
  {key: 'lastSeenAt', title: 'Last seen', width: '8rem', numeric: false},
  {key: 'recordsTotal', title: 'Records', width: '7rem', numeric: true},
  {key: 'syncsTotal', title: 'Syncs', width: '6rem', numeric: true},
  {key: 'model', title: 'Model', width: 'minmax(8rem, 1fr)', numeric: false},
  {key: 'shard', title: 'Shard', width: '6rem', numeric: false},
  {key: 'enrolledAt', title: 'Enrolled', width: '8rem', numeric: false},
] as const;

export type ColumnKey = (typeof COLUMNS)[number]['key'];
export type Column = (typeof COLUMNS)[number];

/** What the API sorts by, of the columns that it can sort by. */
export const SORT_OF: Readonly<Partial<Record<ColumnKey | 'name', string>>> = {
  name: 'name',
  lastSyncAt: 'lastSync',
  lastSeenAt: 'lastSeen',
  enrolledAt: 'enrolledAt',
};

export type Direction = 'ascending' | 'descending' | 'none';

export const directionOf = (sort: string | undefined, by: string): Direction =>
  sort === by ? 'ascending' : sort === `-${by}` ? 'descending' : 'none';

/** What a list is sorted by once its head was used again: up, down, and as it was. */
export const nextSort = (sort: string | undefined, by: string): string | undefined =>
  ({none: by, ascending: `-${by}`, descending: undefined})[directionOf(sort, by)];

const DEFAULT_COLUMNS: readonly ColumnKey[] = ['status', 'group', 'lastSyncAt', 'recordsTotal', 'shard'];

/** The chosen columns in screen order; names that nobody knows are dropped, no choice means the default. */
export const chosenColumns = (names: readonly string[] | null): readonly Column[] => {
  const wanted: readonly string[] = names ?? DEFAULT_COLUMNS;
  return COLUMNS.filter((column) => wanted.includes(column.key));
};

/** What the URL says after one column was switched; null where that is the default again. */
export const toggledColumns = (chosen: readonly Column[], key: ColumnKey): readonly ColumnKey[] | null => {
  const keys = COLUMNS.map((column) => column.key).filter(
    (candidate) => chosen.some((column) => column.key === candidate) !== (candidate === key),
  );
  const isDefault = keys.length === DEFAULT_COLUMNS.length && keys.every((name) => DEFAULT_COLUMNS.includes(name));
  return isDefault ? null : keys;
};

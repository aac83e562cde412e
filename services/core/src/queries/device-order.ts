import type {DeviceCondition} from '../filters/device-condition.ts';
import {type Bind, conditionSql, type Table, TABLE_OF} from './device-sql.ts';

/** What lists can be sorted by. Devices that are alike in it come in the order of their ids, and those without a value at the end, both ways. */
export const DEVICE_SORTS = ['id', 'name', 'lastSync', 'lastSeen', 'enrolledAt', 'statusSince'] as const;
export type DeviceSort = (typeof DEVICE_SORTS)[number];

export interface DeviceOrder {
  readonly by: DeviceSort;
  readonly descending: boolean;
}

/** Where a row stands in an order: its value as text (a time in microseconds since 1970), null where it has none and where the order is that of ids. */
export interface Place {
  readonly value: string | null;
  readonly id: string;
}

const SORTED: Readonly<
  Record<Exclude<DeviceSort, 'id'>, {readonly table: Table; readonly column: string; readonly isTime: boolean}>
> = {
  name: {table: 'd', column: 'name', isTime: false},
  enrolledAt: {table: 'd', column: 'enrolled_at', isTime: true},
  statusSince: {table: 't', column: 'since', isTime: true},
  lastSync: {table: 'r', column: 'last_sync_at', isTime: true},
  lastSeen: {table: 'r', column: 'last_seen_at', isTime: true},
};

export const isOfRecency = (by: DeviceSort): boolean => by === 'lastSync' || by === 'lastSeen';

const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** As the shards sort, for rows of several. */
export const comparePlaces = ({by, descending}: DeviceOrder): ((a: Place, b: Place) => number) => {
  const sign = descending ? -1 : 1;
  const isTime = by !== 'id' && SORTED[by].isTime;
  return (a, b) => {
    if ((a.value === null) !== (b.value === null)) return a.value === null ? 1 : -1;
    const byValue =
      a.value === null || b.value === null
        ? 0
        : isTime
          ? Number(a.value) - Number(b.value)
          : compareBytes(a.value, b.value);
    return sign * (byValue === 0 ? (a.id < b.id ? -1 : a.id > b.id ? 1 : 0) : byValue);
  };
};

/** An instant in microseconds, exact, as Postgres reads it. */
const instantOf = (microseconds: string): string => {
  const us = Number(microseconds);
  const ms = Math.floor(us / 1000);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(us - ms * 1000).padStart(3, '0')}Z`;
};

/** SQL of an order. The value is a column `v` and the id a column `device_id`, of whatever `row` names. */
export interface OrderSql {
  /** The table whose index has the order, and the column of the value there; null in the order of ids. */
  readonly table: Table;
  readonly column: string | null;
  readonly orderBy: (row: string) => string;
  /** The value as it is in a {@link Place}. */
  readonly text: (value: string) => string;
  /** What comes behind a place. */
  readonly behind: (value: string, id: string, place: Place, bind: Bind) => string;
}

export const orderSql = ({by, descending}: DeviceOrder): OrderSql => {
  const direction = descending ? 'desc' : 'asc';
  const beyond = descending ? '<' : '>';
  if (by === 'id') {
    return {
      table: 'd',
      column: null,
      orderBy: (row) => `${row}.device_id ${direction}`,
      text: () => 'null::text',
      behind: (_, id, place, bind) => `${id} ${beyond} ${bind(place.id)}::uuid`,
    };
  }
  const {table, column, isTime} = SORTED[by];
  return {
    table,
    column,
    orderBy: (row) => `${row}.v ${direction} nulls last, ${row}.device_id ${direction}`,
    text: (value) => (isTime ? `(extract(epoch from ${value}) * 1000000)::bigint::text` : value),
    behind: (value, id, place, bind) => {
      const isBehindId = `${id} ${beyond} ${bind(place.id)}::uuid`;
      if (place.value === null) return `(${value} is null and ${isBehindId})`;
      const at = isTime ? `${bind(instantOf(place.value))}::timestamptz` : `${bind(place.value)}::text`;
      return `(${value} ${beyond} ${at} or (${value} = ${at} and ${isBehindId}) or ${value} is null)`;
    },
  };
};

/** A stretch of an index that has the order: one read forward or backward, without a sort. */
export interface Stretch {
  /** The table whose rows they are. */
  readonly table: Table;
  /** SQL of the rows of the table, with the value `v` (null without one), in order, at most so many. */
  readonly rows: (limit: number) => string;
  /** SQL of the row that stands there, counted from 0: its `device_id` and `v`. */
  readonly rowAt: (place: number) => string;
  /** How rows of it are sorted, in words that an index has. */
  readonly orderBy: (row: string) => string;
  /** What the index does not say of the condition. */
  readonly rest: readonly DeviceCondition[];
}

/**
 * The stretches that have all devices behind a place: those with a value and then those without, because an index that is read backward has the latter first.
 * Where an index has what a condition goes by, only that part of it is read.
 */
export const stretchesOf = (
  order: DeviceOrder,
  conditions: readonly DeviceCondition[],
  after: Place | undefined,
): readonly ((bind: Bind) => Stretch)[] => {
  const {by, descending} = order;
  const direction = descending ? 'desc' : 'asc';
  const beyond = descending ? '<' : '>';
  const within = conditions.filter((one) => isOfIndex(by, one));
  const rest = conditions.filter((one) => !within.includes(one));
  const table = by === 'id' ? (within.length > 0 ? 't' : 'd') : SORTED[by].table;
  const id = `${table}.device_id`;

  const type = by !== 'id' && SORTED[by].isTime ? 'timestamptz' : 'text';
  const stretch = (
    value: string | undefined,
    columns: readonly string[],
    where: (bind: Bind) => readonly string[],
  ): ((bind: Bind) => Stretch) => {
    return (bind) => {
      const all = [...where(bind), ...within.map((one) => conditionSql(one, bind))];
      const inOrder = columns.map((column) => `${column} ${direction}`).join(', ');
      const from = `from ${TABLE_OF[table]} ${table} ${all.length === 0 ? '' : `where ${all.join(' and ')}`} order by ${inOrder}`;
      const v = value ?? `null::${type}`;
      return {
        table,
        rows: (limit) => `select ${table}.*, ${v} as v ${from} limit ${limit}`,
        rowAt: (place) => `select ${id}, ${v} as v ${from} limit 1 offset ${place}`,
        orderBy: (row) =>
          [...(value === undefined ? [] : ['v']), 'device_id']
            .map((column) => `${row}.${column} ${direction}`)
            .join(', '),
        rest,
      };
    };
  };
  const behindId = (bind: Bind): readonly string[] =>
    after === undefined ? [] : [`${id} ${beyond} ${bind(after.id)}::uuid`];
  if (by === 'id') return [stretch(undefined, [id], behindId)];

  const {column, isTime} = SORTED[by];
  const value = `${table}.${column}`;
  const withValue = stretch(value, [value, id], (bind) => {
    if (after === undefined || after.value === null) return [`${value} is not null`];
    const at = isTime ? instantOf(after.value) : after.value;
    return [`(${value}, ${id}) ${beyond} (${bind(at)}::${type}, ${bind(after.id)}::uuid)`];
  });
  const without = stretch(undefined, [id], (bind) => [
    `${value} is null`,
    ...(after?.value === null ? behindId(bind) : []),
  ]);
  if (after?.value === null) return [without];
  // What is said of the value is not true where there is none.
  return within.length > 0 || !HAS_NONE.has(by) ? [withValue] : [withValue, without];
};

/** What some devices have no value of. */
const HAS_NONE: ReadonlySet<DeviceSort> = new Set(['name', 'lastSync', 'lastSeen']);

/** Whether an index that has an order has what a condition goes by, and in order behind it. */
const isOfIndex = (by: DeviceSort, condition: DeviceCondition): boolean => {
  switch (condition.kind) {
    case 'is':
      if (condition.not) return false;
      if (by === 'id')
        return (condition.field === 'status' || condition.field === 'group') && condition.values.length === 1;
      return by === condition.field;
    case 'prefix':
      return !condition.not && by === condition.field;
    case 'time':
      return by === condition.field;
    default:
      return false;
  }
};

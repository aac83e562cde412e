import {allOf, type DeviceCondition, onShard} from '../filters/device-condition.ts';
import type {JsonText} from '../json/json-text.ts';
import {onceMore} from '../shards/once-more.ts';
import {PAGE_TYPES} from '../shards/pg-types.ts';
import {cutRows, PAGE_BYTES} from '../shards/page-bytes.ts';
import {type LeftMs, queryWithin} from '../shards/query-within.ts';
import type {Shards} from '../shards/shards.ts';
import {type DeviceOrder, isOfRecency, orderSql, type Place, type Stretch, stretchesOf} from './device-order.ts';
import {
  type Bind,
  conditionSql,
  type Source,
  sourcesOf,
  sourceSql,
  type Table,
  TABLE_OF,
  tablesOf,
} from './device-sql.ts';
import {columnsOf, type Device, type DeviceField, OWNED_SLOTS} from './devices.ts';

export interface DeviceQuery {
  readonly shard: number;
  /** All that a device of the list fulfils. */
  readonly condition: DeviceCondition;
  readonly order: DeviceOrder;
  /** Where the page before ended. */
  readonly after?: Place | undefined;
  readonly limit: number;
  readonly fields: readonly DeviceField[];
  /** How many shards are asked for one page: each may give its part of {@link PAGE_BYTES}. */
  readonly shardsAsked: number;
  readonly leftMs: LeftMs;
}

/** A row of a list: where it stands, and the fields that were asked for. */
export type ListedDevice = Pick<Device, 'deviceId'> &
  Partial<Omit<Device, WideField>> & {readonly [F in WideField]?: JsonText | null} & {
    readonly sortValue: string | null;
  };

export interface DevicePage {
  readonly rows: readonly ListedDevice[];
  /** The shard was looked at up to here, although there are fewer rows than asked for, and goes on behind it. */
  readonly end?: Place | undefined;
}

/** What a page may cost on a shard, in devices. */
export interface ListBounds {
  /** Looked at in the order of the list before those that an index finds are gathered. */
  readonly firstLook: number;
  /** Found by an index and sorted for a page. */
  readonly gathered: number;
  /** Looked at in the order of the list, some 100 ms; then the page is given short. */
  readonly examined: number;
}

/** Where one device in thirty is of the list, a first look fills a page of 50; where it is one in 125, they are met soon enough in the order of the list. */
const BOUNDS: ListBounds = {firstLook: 1_500, gathered: 4_000, examined: 50_000};
/** So many indexes are tried. */
const MAX_SOURCES = 2;

/** JSON that devices send. */
const WIDE_FIELDS = ['state', 'tags'] as const satisfies readonly DeviceField[];
type WideField = (typeof WIDE_FIELDS)[number];

/** What the shard answers for a page, in one row at least. */
type Answered = Partial<ListedDevice> & {
  readonly pageRows: number;
  readonly found?: number | null;
  readonly end: readonly [string | null, string] | null;
};

/**
 * One shard's devices in an order, from a place on. An index has each order, and it is read until the page is full: that is soon where one device in thirty is of the list. Where
 * it is not, those that an index finds for the condition are gathered and sorted, if they are few; and if they are many it is read on, up to a bound.
 */
export const listDevices = async (
  shards: Shards,
  query: DeviceQuery,
  {firstLook, gathered, examined}: ListBounds = BOUNDS,
): Promise<DevicePage> => {
  const condition = onShard(query.condition, query.shard);
  if (condition.kind === 'never') return {rows: []};
  const sources = sourcesOf(condition);
  if (sources.length === 0) return walk(shards, query, condition, examined);
  const first = await walk(shards, query, condition, firstLook);
  if (first.end === undefined || isEndOfFull(first, query)) return first;
  for (const source of sources.slice(0, MAX_SOURCES)) {
    const page = await gather(shards, query, condition, source, gathered);
    if (page !== undefined) return page;
  }
  return walk(shards, query, condition, examined);
};

/** It ends where its bytes do. */
const isEndOfFull = ({rows, end}: DevicePage, {limit}: DeviceQuery): boolean =>
  end !== undefined && rows.length > 0 && (rows.length >= limit || rows.at(-1)?.deviceId === end.id);

/** Reads on in the order of the list. */
const walk = async (
  shards: Shards,
  query: DeviceQuery,
  condition: DeviceCondition,
  maxExamined: number,
): Promise<DevicePage> => {
  const conditions = condition.kind === 'and' ? condition.of : [condition];
  const rows: ListedDevice[] = [];
  for (const stretch of stretchesOf(query.order, conditions, query.after)) {
    const limit = query.limit - rows.length;
    const page = await ask(shards, query, (bind) => walked(stretch(bind), query, limit, maxExamined, bind));
    rows.push(...page.rows);
    if (page.end !== undefined || rows.length >= query.limit) return {rows, end: page.end};
  }
  return {rows};
};

interface PageSql {
  /** SQL of the common table expressions; the last is `page`, of `device_key`, `device_id` and `v`, at most `limit` of them. */
  readonly ctes: string;
  readonly limit: number;
  /** SQL of `text[]`: value and id of the place up to which was looked, where the page is not full and there is more. */
  readonly end: string;
}

const walked = (
  {table, rows, rowAt, orderBy, rest}: Stretch,
  {order}: DeviceQuery,
  limit: number,
  maxExamined: number,
  bind: Bind,
): PageSql => {
  const residual = allOf(rest);
  return {
    ctes: `page as materialized (
      select ${table}.device_key, ${table}.device_id, ${table}.v from (${rows(maxExamined)}) ${table} ${joins(tablesOf(residual), table)}
      where ${OWNED_SLOTS(`${table}.device_key`)} and ${conditionSql(residual, bind)}
      order by ${orderBy(table)} limit ${limit})`,
    limit,
    end: `case when (select count(*) from page) < ${limit} then (
      select array[${orderSql(order).text('e.v')}, e.device_id::text] from (${rowAt(maxExamined - 1)}) e) end`,
  };
};

/** Each looked up by its key, row for row: any other way would read all of it, or lose the order. */
export const joins = (tables: ReadonlySet<Table>, to: Table | 'w'): string =>
  [...tables]
    .filter((table) => table !== to)
    .map(
      (table) =>
        `left join lateral (select * from ${TABLE_OF[table]} x where x.device_key = ${to}.device_key offset 0) ${table} on true`,
    )
    .join(' ');

/** SQL of `gathered`, what the look-ups of a source find, at most one more than `max` together, and of `w`, its keys, each once. */
export const gatheredSql = (source: Source, max: number, bind: Bind): string =>
  `gathered as materialized (select * from (${sourceSql(source, max + 1, bind)}) f limit ${max + 1}),
   w as (select distinct device_key from gathered)`;

/** Sorts what an index finds. Undefined: that is too much. */
const gather = async (
  shards: Shards,
  query: DeviceQuery,
  condition: DeviceCondition,
  source: Source,
  max: number,
): Promise<DevicePage | undefined> => {
  const page = await ask(shards, query, (bind) => {
    const {order, after, limit} = query;
    const {table, column, orderBy, behind} = orderSql(order);
    const value = column === null ? 'null::text' : `${table}.${column}`;
    const tables = new Set<Table>(['d', table, ...tablesOf(condition)]);
    const isBehind = after === undefined ? 'true' : behind(value, 'd.device_id', after, bind);
    const isTooMany = `(select count(*) from gathered) > ${max}`;
    return {
      ctes: `${gatheredSql(source, max, bind)},
        page as materialized (
          select * from (
            select w.device_key, d.device_id, ${value} as v from w ${joins(tables, 'w')}
            where not ${isTooMany} and d.device_id is not null and ${OWNED_SLOTS('w.device_key')} and ${isBehind} and ${conditionSql(condition, bind)}
          ) p order by ${orderBy('p')} limit ${limit})`,
      limit,
      // No place has this id, which says that nothing was looked at.
      end: `case when ${isTooMany} then array[null, '']::text[] end`,
    };
  });
  return page.end?.id === '' ? undefined : page;
};

/** Asks the shard for a page and reads the fields of its rows. */
const ask = async (shards: Shards, query: DeviceQuery, write: (bind: Bind) => PageSql): Promise<DevicePage> => {
  const {shard, order, fields, shardsAsked, leftMs} = query;
  const values: unknown[] = [];
  const {ctes, limit, end} = write((value) => `$${values.push(value)}`);
  const {orderBy, text} = orderSql(order);
  const columns = [...new Set<DeviceField>(['deviceId', ...fields])];
  const wide = WIDE_FIELDS.filter((field) => columns.includes(field));
  const rows = `select page.device_id, page.v, ${columnsOf(columns)} from page
     left join device d on d.device_key = page.device_key left join device_status t on t.device_key = page.device_key
     left join device_state s on s.device_key = page.device_key left join device_shadow h on h.device_key = page.device_key`;
  const cut = cutRows({
    rows,
    wide: wide.map((field) => `"${field}"`),
    order: orderBy('one').replaceAll('one.', ''),
    limit: String(limit),
    bytes: String(Math.floor(PAGE_BYTES / shardsAsked)),
  });
  const shown = columns.map((field) => `p."${field}"`).join(', ');
  const answer = await onceMore(() =>
    queryWithin<Answered>(shards.pool(shard, 'dashboard'), leftMs, {
      text: `with ${ctes}
       select (select count(*) from page) as "pageRows", ${end} as "end", ${text('p.v')} as "sortValue", ${shown}${wide.length === 0 ? '' : ', p.found'}
       from (select) one left join (${wide.length === 0 ? rows : cut}) p on true order by ${orderBy('p')}`,
      values,
      types: PAGE_TYPES,
    }),
  );
  const listed = answer.rows.filter((row): row is Answered & ListedDevice => typeof row.deviceId === 'string');
  const last = listed.at(-1);
  const isCut = (listed[0]?.found ?? 0) > listed.length;
  if (isCut && last !== undefined) return {rows: listed, end: {value: last.sortValue, id: last.deviceId}};
  const [stopped] = answer.rows;
  return {
    rows: listed,
    ...(stopped === undefined || stopped.end === null ? {} : {end: {value: stopped.end[0], id: stopped.end[1]}}),
  };
};

/** As of when the times are that lists of a shard go by; null: it was never brought up to date. */
export const recencyAsOf = async (shards: Shards, shard: number, leftMs: LeftMs): Promise<Date | null> => {
  const {rows} = await onceMore(() =>
    queryWithin<{asOf: Date}>(shards.pool(shard, 'dashboard'), leftMs, {
      name: 'recency-as-of',
      text: 'select as_of as "asOf" from recency_pass',
    }),
  );
  return rows[0]?.asOf ?? null;
};

/** Whether a list goes by times that are a minute behind. */
export const goesByRecency = (condition: DeviceCondition, {by}: DeviceOrder): boolean =>
  isOfRecency(by) || tablesOf(condition).has('r');

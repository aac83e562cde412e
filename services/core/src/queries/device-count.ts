import {addCounts, DEVICE_STATUSES, NO_DEVICES, type StatusCounts} from '../devices/device-status.ts';
import {allOf, type DeviceCondition, onShard} from '../filters/device-condition.ts';
import {isSystemicDatabaseFault} from '../shards/database-fault.ts';
import {onceMore} from '../shards/once-more.ts';
import {queryWithin} from '../shards/query-within.ts';
import type {Shards} from '../shards/shards.ts';
import {gatheredSql, joins} from './device-list.ts';
import {type Place, stretchesOf} from './device-order.ts';
import {type Bind, conditionSql, sourcesOf, type Table, tablesOf} from './device-sql.ts';
import {OWNED_SLOTS} from './devices.ts';

export interface MatchCount {
  readonly value: number;
  /** Those of each status, where that was asked for. */
  readonly byStatus: StatusCounts | undefined;
  /** Whether these are all; else there may be more. */
  readonly isAll: boolean;
}

export interface CountOptions {
  readonly shard: number;
  readonly condition: DeviceCondition;
  /** Whether to count each status by itself. */
  readonly byStatus?: boolean;
  /** So long it is counted, and no longer: statements that take more are ended. */
  readonly budgetMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic: () => number;
}

/** Some ten milliseconds where little is asked of each device. So that something is counted where much is, fewer at first. */
const AT_ONCE = {first: 500, most: 10_000} as const;
const MAX_GATHERED = 20_000;
const BY_ID = {by: 'id', descending: false} as const;

type CountRow = {readonly value: number} & Partial<StatusCounts>;
const BY_STATUS = DEVICE_STATUSES.map(
  (status) => `, count(*) filter (where t.status = '${status}') as "${status}"`,
).join('');

/** How many devices of a shard fulfil a condition: those that an index finds where they are few, else as many as are met in the order of their ids before the time is up. */
export const countMatching = async (
  shards: Shards,
  {shard, condition: asked, byStatus = false, budgetMs, monotonic}: CountOptions,
): Promise<MatchCount> => {
  const condition = onShard(asked, shard);
  if (condition.kind === 'never') return {value: 0, byStatus: byStatus ? NO_DEVICES : undefined, isAll: true};
  const counts = `count(*) as value${byStatus ? BY_STATUS : ''}`;
  const counted: readonly Table[] = byStatus ? ['t'] : [];
  const began = monotonic();
  const leftOf = (ms: number): number => began + ms - monotonic();
  /** Undefined where so much time was not enough. */
  const readWithin = async <Row extends object>(
    ms: number,
    write: (bind: Bind) => string,
  ): Promise<Row | undefined> => {
    if (leftOf(ms) <= 0) return undefined;
    const values: unknown[] = [];
    const text = write((value) => `$${values.push(value)}`);
    const pool = shards.pool(shard, 'dashboard');
    try {
      return (await onceMore(() => queryWithin<Row>(pool, () => leftOf(ms), {text, values}))).rows[0];
    } catch (error) {
      if (leftOf(ms) <= 0 && isSystemicDatabaseFault(error)) return undefined;
      throw error;
    }
  };

  const [source] = sourcesOf(condition);
  if (source !== undefined) {
    // What is left of the time is for what is met on the way, if this is too much.
    const found = await readWithin<CountRow & {isAll: boolean}>(budgetMs / 2, (bind) => {
      const isTooMany = `(select count(*) from gathered) > ${MAX_GATHERED}`;
      const tables = new Set<Table>(['d', ...counted, ...tablesOf(condition)]);
      return `with ${gatheredSql(source, MAX_GATHERED, bind)}
        select ${counts}, not ${isTooMany} as "isAll" from w ${joins(tables, 'w')}
        where not ${isTooMany} and d.device_id is not null and ${OWNED_SLOTS('w.device_key')} and ${conditionSql(condition, bind)}`;
    });
    if (found?.isAll === true) {
      const {value, isAll, ...statuses} = found;
      return {value, byStatus: byStatus ? {...NO_DEVICES, ...statuses} : undefined, isAll};
    }
  }

  const conditions = condition.kind === 'and' ? condition.of : [condition];
  let value = 0;
  let statuses = byStatus ? NO_DEVICES : undefined;
  let after: Place | undefined;
  for (let atOnce: number = AT_ONCE.first; ; atOnce = Math.min(2 * atOnce, AT_ONCE.most)) {
    const found = await readWithin<CountRow & {last: string | null}>(budgetMs, (bind) => {
      const [stretch] = stretchesOf(BY_ID, conditions, after).map((make) => make(bind));
      if (stretch === undefined) throw new RangeError('the order of ids has no stretch');
      const rest = allOf(stretch.rest);
      const {table} = stretch;
      return `select ${counts}, (select device_id from (${stretch.rowAt(atOnce - 1)}) e) as last
        from (${stretch.rows(atOnce)}) ${table} ${joins(new Set([...counted, ...tablesOf(rest)]), table)}
        where ${OWNED_SLOTS(`${table}.device_key`)} and ${conditionSql(rest, bind)}`;
    });
    if (found === undefined) return {value, byStatus: statuses, isAll: false};
    value += found.value;
    if (statuses !== undefined) statuses = addCounts(statuses, {...NO_DEVICES, ...found});
    if (found.last === null) return {value, byStatus: statuses, isAll: true};
    after = {value: null, id: found.last};
  }
};

/** A device as the census knows it. */
export interface CensusCell {
  readonly shard: number;
  readonly groupId: number;
  readonly status: string;
}

/** Whether the devices of a cell fulfil a condition; undefined where that depends on more than the census knows. */
export const holdsOfCell = (condition: DeviceCondition, cell: CensusCell): boolean | undefined => {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const each = condition.of.map((one) => holdsOfCell(one, cell));
      if (each.includes(undefined)) return undefined;
      return condition.kind === 'and' ? each.every(Boolean) : each.some(Boolean);
    }
    case 'not': {
      const holds = holdsOfCell(condition.of, cell);
      return holds === undefined ? undefined : !holds;
    }
    case 'always':
      return true;
    case 'never':
      return false;
    case 'shard':
      return condition.shards.includes(cell.shard) !== condition.not;
    case 'is': {
      if (condition.field !== 'group' && condition.field !== 'status') return undefined;
      return condition.values.includes(condition.field === 'group' ? cell.groupId : cell.status) !== condition.not;
    }
    default:
      return undefined;
  }
};

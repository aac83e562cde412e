import type {DeviceCondition, Flag, TimeField, ValueField} from '../filters/device-condition.ts';

/** Conditions on devices as SQL. Values are bound, and the text that reaches a statement is that of this file. */

/** Tables that conditions and orders go by. */
export type Table = 'd' | 't' | 'r';
export const TABLE_OF: Readonly<Record<Table, string>> = {d: 'device', t: 'device_status', r: 'device_recency'};

/** Adds a value to those of the statement and answers its place, `$3`. */
export type Bind = (value: unknown) => string;

const VALUE_COLUMN: Readonly<
  Record<ValueField, {readonly table: Table; readonly column: string; readonly type: string}>
> = {
  id: {table: 'd', column: 'device_id', type: 'uuid'},
  name: {table: 'd', column: 'name', type: 'text'},
  hardwareId: {table: 'd', column: 'hardware_id', type: 'text'},
  model: {table: 'd', column: 'model', type: 'text'},
  group: {table: 't', column: 'group_id', type: 'int'},
  status: {table: 't', column: 'status', type: 'text'},
};

const TIME_COLUMN: Readonly<Record<TimeField, {readonly table: Table; readonly column: string}>> = {
  lastSync: {table: 'r', column: 'last_sync_at'},
  lastSeen: {table: 'r', column: 'last_seen_at'},
  enrolledAt: {table: 'd', column: 'enrolled_at'},
  statusSince: {table: 't', column: 'since'},
};

/** Where it is set, and it is so in few rows, which an index has alone. */
const FLAG: Readonly<Record<Flag, string>> = {
  revoked: 'd.revoked_at is not null',
  decommissioned: 'd.decommissioned_at is not null',
  disputed: 'd.disputed_until > now()',
};

type Leaf = Exclude<DeviceCondition, {readonly kind: 'and' | 'or' | 'not'}>;

const tableOf = (leaf: Leaf): Table => {
  switch (leaf.kind) {
    case 'is':
      return VALUE_COLUMN[leaf.field].table;
    case 'time':
      return TIME_COLUMN[leaf.field].table;
    default:
      return 'd';
  }
};

/** Tables without which a condition cannot be looked at. */
export const tablesOf = (condition: DeviceCondition): ReadonlySet<Table> => {
  if (condition.kind === 'and' || condition.kind === 'or')
    return new Set(condition.of.flatMap((one) => [...tablesOf(one)]));
  if (condition.kind === 'not') return tablesOf(condition.of);
  return new Set(condition.kind === 'always' || condition.kind === 'never' ? [] : [tableOf(condition)]);
};

/** @throws RangeError for a condition on the shard, which is known before anything is asked of one */
export const conditionSql = (condition: DeviceCondition, bind: Bind): string => {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return `(${condition.of.map((one) => conditionSql(one, bind)).join(` ${condition.kind} `)})`;
    case 'not':
      return `(${conditionSql(condition.of, bind)}) is not true`;
    case 'always':
      return 'true';
    case 'never':
      return 'false';
    case 'is': {
      const {table, column, type} = VALUE_COLUMN[condition.field];
      return isOneOf(`${table}.${column}`, type, condition.values, condition.not, bind);
    }
    case 'prefix': {
      const {table, column} = VALUE_COLUMN[condition.field];
      // Not by `like`, which an index of trigrams has as well: that is read whole, however few are asked for.
      const matches = `${table}.${column} ^@ ${bind(condition.prefix)}::text`;
      return condition.not ? `(${matches}) is not true` : matches;
    }
    case 'tag': {
      const {key, values, not} = condition;
      return isOneOf(`(d.tags ->> ${bind(key)}::text)`, 'text', values, not, bind);
    }
    case 'search':
      return `(${lookUpsOf(condition)
        .map((one) => one(bind))
        .join(' or ')})`;
    case 'flag':
      return condition.set ? FLAG[condition.flag] : `(${FLAG[condition.flag]}) is not true`;
    case 'time': {
      const {table, column} = TIME_COLUMN[condition.field];
      return `${table}.${column} ${condition.operator} ${bind(condition.at)}::timestamptz`;
    }
    case 'shard':
      throw new RangeError('which shard it is has to be said before');
  }
};

const isOneOf = (column: string, type: string, values: readonly unknown[], not: boolean, bind: Bind): string => {
  const [only] = values;
  // One is said as one, so that what is sorted behind it in an index comes in order.
  const among =
    values.length === 1 ? `${column} = ${bind(only)}::${type}` : `${column} = any(${bind(values)}::${type}[])`;
  return not ? `(${among}) is not true` : among;
};

/** Without a letter or digit behind its first character a text has no trigram whatever stands before it; and fewer characters are in too many texts. */
const isSearchedWithin = (text: string): boolean => text.length >= 3 && /.[\p{L}\p{N}]/su.test(text);
/** Such a text is the same in either case. */
const HAS_LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
/** An id without its dashes, as far as it is known. */
const ID_PREFIX = /^[0-9a-f]{1,32}$/i;

/** Writes a condition that one scan of an index answers. */
type LookUp = (bind: Bind) => string;

const searchLookUps = (text: string): readonly LookUp[] => {
  const pattern = `${isSearchedWithin(text) ? '%' : ''}${escapeLike(text)}%`;
  const inText = (column: string): LookUp =>
    HAS_LETTER_OR_DIGIT.test(text)
      ? (bind) => `${column} ilike ${bind(pattern)}`
      : (bind) => `${column} ^@ ${bind(text)}::text`;
  const digits = text.replaceAll('-', '').toLowerCase();
  return [
    inText('d.name'),
    inText('d.hardware_id'),
    ...(ID_PREFIX.test(digits)
      ? [
          (bind: Bind) =>
            `d.device_id between ${bind(digits.padEnd(32, '0'))}::uuid and ${bind(digits.padEnd(32, 'f'))}::uuid`,
        ]
      : []),
  ];
};

/** Any of these has to hold. */
const lookUpsOf = (leaf: Leaf): readonly LookUp[] => {
  if (leaf.kind === 'search') return searchLookUps(leaf.text);
  if (leaf.kind === 'tag' && !leaf.not) {
    const {key, values} = leaf;
    // The index has no way to look for one of several.
    return values.map((value) => (bind) => `d.tags @> ${bind(JSON.stringify({[key]: value}))}::jsonb`);
  }
  return [(bind) => conditionSql(leaf, bind)];
};

const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

/** How few devices a condition is expected to find, the fewest first; undefined where it has no index, or would find most of them. */
const RANK: Readonly<Record<ValueField, number>> = {id: 0, hardwareId: 1, name: 2, model: 6, group: 7, status: 8};
const rankOf = (leaf: Leaf): number | undefined => {
  switch (leaf.kind) {
    case 'is':
      return leaf.not ? undefined : RANK[leaf.field];
    case 'prefix':
      return leaf.not || leaf.prefix === '' ? undefined : 3;
    case 'tag':
      return leaf.not ? undefined : 5;
    case 'flag':
      return leaf.set ? 4 : undefined;
    case 'search':
      return 3;
    case 'time':
      return 9;
    default:
      return undefined;
  }
};

/** Devices that an index finds: those of any of `any`. */
export interface Source {
  readonly any: readonly Leaf[];
}

/** Ways to find all devices that fulfil a condition, and others, by indexes alone; the first is expected to find the fewest. None: it has no index. */
export const sourcesOf = (condition: DeviceCondition): readonly Source[] => {
  const found = ranked(condition);
  return found.toSorted((a, b) => a.rank - b.rank).map(({any}) => ({any}));
};

/** More look-ups than a search has are tried behind those of a group, so a token's own groups bound what it can ask for. */
const FEW_LOOK_UPS = 3;
const RANK_OF_MANY = RANK.group + 0.5;

const ranked = (condition: DeviceCondition): readonly (Source & {readonly rank: number})[] =>
  rankedAlone(condition).map(({any, rank}) => {
    const isMany = any.flatMap(lookUpsOf).length > FEW_LOOK_UPS;
    return {any, rank: isMany ? Math.max(rank, RANK_OF_MANY) : rank};
  });

const rankedAlone = (condition: DeviceCondition): readonly (Source & {readonly rank: number})[] => {
  if (condition.kind === 'and') return condition.of.flatMap(ranked);
  if (condition.kind === 'or') {
    const branches = condition.of.map((one) => ranked(one).toSorted((a, b) => a.rank - b.rank)[0]);
    if (branches.includes(undefined)) return [];
    const all = branches.flatMap((branch) => branch ?? []);
    return [{any: all.flatMap(({any}) => any), rank: Math.max(...all.map(({rank}) => rank))}];
  }
  if (condition.kind === 'not') return [];
  const rank = rankOf(condition);
  return rank === undefined ? [] : [{any: [condition], rank}];
};

/** SQL of the keys that a source finds, one by each of its look-ups that finds it. They are made one after the other, and no more of them than whoever reads this has need of. */
export const sourceSql = ({any}: Source, limit: number, bind: Bind): string =>
  any
    .flatMap((leaf) => {
      const table = tableOf(leaf);
      return lookUpsOf(leaf).map(
        (one) => `(select device_key from ${TABLE_OF[table]} ${table} where ${one(bind)} limit ${limit})`,
      );
    })
    .join(' union all ');

/** Whether an index finds what a condition asks for, on every shard; one on the shard alone is all of that shard. */
export const isIndexed = (condition: DeviceCondition): boolean => {
  switch (condition.kind) {
    case 'and':
      return condition.of.some(isIndexed);
    case 'or':
      return condition.of.every(isIndexed);
    case 'shard':
      return !condition.not;
    case 'not':
      return false;
    case 'always':
    case 'never':
      return true;
    default:
      return rankOf(condition) !== undefined;
  }
};

import {DEVICE_STATUSES, type DeviceStatus} from '../devices/device-status.ts';
import type {GroupNames} from '../devices/groups.ts';
import {isStorableInstant} from '../json/storable-instant.ts';
import {type Comparison, type FilterNode, MAX_VALUES, refuseFilter, valuesIn} from './parse-filter.ts';

/** What a device must be like: a filter whose fields, values and times are known. Nothing of it is SQL. */
export type DeviceCondition =
  | {readonly kind: 'and'; readonly of: readonly DeviceCondition[]}
  | {readonly kind: 'or'; readonly of: readonly DeviceCondition[]}
  /** Of a device of which nobody can say whether it holds, this does. */
  | {readonly kind: 'not'; readonly of: DeviceCondition}
  | {readonly kind: 'always'}
  | {readonly kind: 'never'}
  | {
      readonly kind: 'is';
      readonly field: ValueField;
      readonly values: readonly (string | number)[];
      readonly not: boolean;
    }
  | {readonly kind: 'prefix'; readonly field: TextField; readonly prefix: string; readonly not: boolean}
  | {readonly kind: 'tag'; readonly key: string; readonly values: readonly string[]; readonly not: boolean}
  | {readonly kind: 'shard'; readonly shards: readonly number[]; readonly not: boolean}
  | {readonly kind: 'search'; readonly text: string}
  | {readonly kind: 'flag'; readonly flag: Flag; readonly set: boolean}
  | {readonly kind: 'time'; readonly field: TimeField; readonly operator: Bound; readonly at: string};

type TextField = 'name' | 'hardwareId' | 'model';
export type ValueField = TextField | 'id' | 'group' | 'status';
export type TimeField = 'lastSync' | 'lastSeen' | 'enrolledAt' | 'statusSince';
/** What is true of few devices. */
export type Flag = 'revoked' | 'decommissioned' | 'disputed';
type Bound = '<' | '<=' | '>' | '>=';

const FIELDS = {
  id: 'id',
  name: 'text',
  hardwareId: 'text',
  group: 'group',
  status: 'status',
  shard: 'shard',
  model: 'text',
  tags: 'tag',
  lastSync: 'time',
  lastSeen: 'time',
  enrolledAt: 'time',
  statusSince: 'time',
  revoked: 'flag',
  decommissioned: 'flag',
  disputed: 'flag',
} as const;
type Field = keyof typeof FIELDS;
const FIELD_NAMES = Object.keys(FIELDS).map((field) => (field === 'tags' ? 'tags.<key>' : field));

export interface FilterWorld {
  /** What relative times count from; a list keeps it from page to page. */
  readonly nowMs: number;
  readonly groups: Pick<GroupNames, 'idOf' | 'filterOf'>;
}

/** Where everything holds of. */
export const allOf = (conditions: readonly DeviceCondition[]): DeviceCondition => {
  const of = conditions.flatMap((one) => (one.kind === 'and' ? one.of : one.kind === 'always' ? [] : [one]));
  if (of.some(({kind}) => kind === 'never')) return {kind: 'never'};
  const [only, second] = of;
  return only === undefined ? {kind: 'always'} : second === undefined ? only : {kind: 'and', of};
};

const anyOf = (conditions: readonly DeviceCondition[]): DeviceCondition => {
  const of = conditions.flatMap((one) => (one.kind === 'or' ? one.of : one.kind === 'never' ? [] : [one]));
  if (of.some(({kind}) => kind === 'always')) return {kind: 'always'};
  const [only, second] = of;
  return only === undefined ? {kind: 'never'} : second === undefined ? only : {kind: 'or', of};
};

const notOf = (condition: DeviceCondition): DeviceCondition => {
  if (condition.kind === 'always') return {kind: 'never'};
  return condition.kind === 'never' ? {kind: 'always'} : {kind: 'not', of: condition};
};

/** What is left of a condition on one shard, where it is known which one that is. */
export const onShard = (condition: DeviceCondition, shard: number): DeviceCondition => {
  switch (condition.kind) {
    case 'and':
      return allOf(condition.of.map((one) => onShard(one, shard)));
    case 'or':
      return anyOf(condition.of.map((one) => onShard(one, shard)));
    case 'not':
      return notOf(onShard(condition.of, shard));
    case 'shard':
      return {kind: condition.shards.includes(shard) === condition.not ? 'never' : 'always'};
    default:
      return condition;
  }
};

/** What a filter asks for. @throws AppError `bad-request` that says at which character, and what is known there. */
export const deviceCondition = (node: FilterNode, world: FilterWorld): DeviceCondition => {
  let borrowed = 0;
  /** The filter of a dynamic group. All that are named together look for no more than one filter may. */
  const borrow = (name: string, at: number): FilterNode | undefined => {
    const filter = world.groups.filterOf(name);
    if (filter === undefined) return undefined;
    borrowed += valuesIn(filter);
    if (borrowed > MAX_VALUES) refuseFilter(`names dynamic groups that ask for more than ${MAX_VALUES} values`, at);
    return filter;
  };
  return conditionIn(node, world, borrow);
};

type Borrow = (group: string, at: number) => FilterNode | undefined;

const conditionIn = (node: FilterNode, world: FilterWorld, borrow: Borrow): DeviceCondition => {
  if (node.kind === 'comparison') return conditionOf(node, world, borrow);
  const of = node.nodes.map((one) => conditionIn(one, world, borrow));
  return node.kind === 'and' ? allOf(of) : anyOf(of);
};

const isField = (name: string): name is Field => Object.hasOwn(FIELDS, name);

const conditionOf = (comparison: Comparison, world: FilterWorld, borrow: Borrow): DeviceCondition => {
  const {field, key, at} = comparison;
  if (!isField(field) || (field === 'tags') !== (key !== undefined)) {
    const name = key === undefined ? field : `${field}.${key}`;
    return refuseFilter(`has no field ${name}; known are ${FIELD_NAMES.join(', ')}`, at);
  }
  if (FIELDS[field] === 'time') return timeCondition(field as TimeField, comparison, world);
  const {values} = comparison;
  const not = equality(comparison);
  switch (field) {
    case 'name':
    case 'hardwareId':
    case 'model':
      return textCondition(field, comparison, not);
    case 'id':
      return {kind: 'is', field, not, values: exact(comparison, 'a whole id such as 0a3f….', UUID)};
    case 'status':
      return {kind: 'is', field, not, values: exact(comparison, `one of ${DEVICE_STATUSES.join(', ')}`, isStatus)};
    case 'group':
      return groupCondition(comparison, not, world, borrow);
    case 'shard':
      return {kind: 'shard', not, shards: exact(comparison, 'the number of a shard', /^\d{1,4}$/).map(Number)};
    case 'revoked':
    case 'decommissioned':
    case 'disputed': {
      if (values.length > 1) refuseFilter('has a list where true or false is expected', at);
      const [value] = exact(comparison, 'true or false', /^(?:true|false)$/);
      return {kind: 'flag', flag: field, set: (value === 'true') !== not};
    }
    case 'tags':
      return {kind: 'tag', key: key ?? '', not, values: exact(comparison, 'a value')};
    default:
      return refuseFilter(`has no field ${field}`, at);
  }
};

/** A static group is one that devices have. A dynamic one is what its filter asks for, which names static groups alone, by number. */
const groupCondition = (comparison: Comparison, not: boolean, world: FilterWorld, borrow: Borrow): DeviceCondition => {
  const names = exact(comparison, 'a name');
  // Nothing is in a group that is not there.
  const known = names.flatMap((name) => world.groups.idOf(name) ?? []);
  const dynamic = names.flatMap((name, index): readonly DeviceCondition[] => {
    const filter = borrow(name, comparison.values[index]?.at ?? comparison.at);
    return filter === undefined ? [] : [conditionIn(filter, {...world, groups: BY_NUMBER}, () => undefined)];
  });
  const any = anyOf([...(known.length === 0 ? [] : [isInGroups(known, false)]), ...dynamic]);
  if (!not) return any;
  return dynamic.length === 0 && known.length > 0 ? isInGroups(known, true) : notOf(any);
};

const isInGroups = (values: readonly number[], not: boolean): DeviceCondition => ({
  kind: 'is',
  field: 'group',
  values,
  not,
});

/** What a saved filter is read with. */
export const BY_NUMBER: FilterWorld['groups'] = {idOf: Number, filterOf: () => undefined};

/** Whether it is not to be one of the values. */
const equality = ({operator, field, at}: Comparison): boolean => {
  if (operator !== '==' && operator !== '!=')
    refuseFilter(`compares ${field} by ${operator}; known are ==, !=, =in= and =out=`, at);
  return operator === '!=';
};

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const isStatus = (text: string): text is DeviceStatus => DEVICE_STATUSES.some((status) => status === text);

const exact = (
  {values, field}: Comparison,
  what: string,
  form: RegExp | ((text: string) => boolean) = /^/,
): readonly string[] =>
  values.map(({text, isPrefix, at}) => {
    if (isPrefix) refuseFilter(`has a * for ${field}, which is not searched by its beginning`, at);
    const fits = form instanceof RegExp ? form.test(text) : form(text);
    return fits ? text : refuseFilter(`has "${text.slice(0, 40)}" for ${field} where ${what} is expected`, at);
  });

const textCondition = (field: TextField, {values}: Comparison, not: boolean): DeviceCondition => {
  const whole = values.filter(({isPrefix}) => !isPrefix).map(({text}) => text);
  const parts: readonly DeviceCondition[] = [
    ...(whole.length === 0 ? [] : [{kind: 'is', field, values: whole, not} as const]),
    ...values.filter(({isPrefix}) => isPrefix).map(({text}) => ({kind: 'prefix', field, prefix: text, not}) as const),
  ];
  return not ? allOf(parts) : anyOf(parts);
};

const DURATION =
  /^(?<sign>[+-]?)P(?!$)(?:(?<w>\d{1,4})W)?(?:(?<d>\d{1,5})D)?(?:T(?!$)(?:(?<h>\d{1,6})H)?(?:(?<m>\d{1,7})M)?(?:(?<s>\d{1,8})S)?)?$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

const timeCondition = (
  field: TimeField,
  {operator, values: [value], at}: Comparison,
  {nowMs}: FilterWorld,
): DeviceCondition => {
  if (operator === '==' || operator === '!=' || value === undefined)
    return refuseFilter(`compares ${field} by equality; known are <, =le=, > and =ge=`, at);
  return {kind: 'time', field, operator, at: instantOf(value.text, nowMs) ?? refuseTime(value.text, value.at)};
};

const refuseTime = (text: string, at: number): never =>
  refuseFilter(
    `has "${text.slice(0, 40)}" where a time is expected: 2026-11-28T19:00:00Z, 2026-11-28, or so long from now, as -P2D or -PT30M`,
    at,
  );

/** As Postgres and people read it; undefined where it is none. */
const instantOf = (text: string, nowMs: number): string | undefined => {
  const atMs = msOf(text, nowMs);
  return isStorableInstant(atMs) ? new Date(atMs).toISOString() : undefined;
};

/** NaN where it is no time. */
const msOf = (text: string, nowMs: number): number => {
  const parts = DURATION.exec(text)?.groups;
  if (parts !== undefined) {
    const count = (name: string): number => Number(parts[name] ?? 0);
    const seconds = ((count('w') * 7 + count('d')) * 24 + count('h')) * 3600 + count('m') * 60 + count('s');
    return nowMs + (parts['sign'] === '-' ? -1 : 1) * seconds * 1000;
  }
  return INSTANT.test(text) ? Date.parse(text) : NaN;
};

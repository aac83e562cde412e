import {AppError} from '../errors/app-error.ts';
import {isStorableText} from '../json/storable.ts';

/**
 * The filter of lists, a subset of RSQL (https://github.com/jirutka/rsql-parser): comparisons joined by `;` (and, binds closer) and `,` (or), and parentheses.
 * What a field is, and what it can be compared with, is said elsewhere: this knows the grammar alone.
 */
export type FilterNode =
  {readonly kind: 'and' | 'or'; readonly nodes: readonly FilterNode[]; readonly at: number} | Comparison;

export interface Comparison {
  readonly kind: 'comparison';
  readonly field: string;
  /** Behind the dot of `tags.site`. */
  readonly key: string | undefined;
  readonly operator: Operator;
  readonly values: readonly FilterValue[];
  /** Its first character in the text, from 0. */
  readonly at: number;
}

/** `=in=` is `==` with several values, `=out=` is `!=`. */
type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

interface FilterValue {
  readonly text: string;
  /** It ended in `*` outside of quotes, which is not in the text. */
  readonly isPrefix: boolean;
  readonly at: number;
}

const MAX_LENGTH = 2000;
/** Of all conditions together, one that a list repeats once. A condition has one at least, and may cost a shard a look-up for each. */
export const MAX_VALUES = 50;
const MAX_DEPTH = 8;

const OPERATORS: Readonly<Record<string, {readonly operator: Operator; readonly isList: boolean}>> = {
  '==': {operator: '==', isList: false},
  '!=': {operator: '!=', isList: false},
  '=in=': {operator: '==', isList: true},
  '=out=': {operator: '!=', isList: true},
  '<': {operator: '<', isList: false},
  '=lt=': {operator: '<', isList: false},
  '<=': {operator: '<=', isList: false},
  '=le=': {operator: '<=', isList: false},
  '>': {operator: '>', isList: false},
  '=gt=': {operator: '>', isList: false},
  '>=': {operator: '>=', isList: false},
  '=ge=': {operator: '>=', isList: false},
};

const SPACE = /\s*/y;
const FIELD = /[A-Za-z]\w*/y;
const OPERATOR = /==|!=|=[A-Za-z]*=|[<>]=?/y;
const BARE = /[^\s"'();,=<>!~]+/y;
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/y;

/** @throws AppError `bad-request` that says at which character. */
export const refuseFilter = (detail: string, at: number): never => {
  throw new AppError('bad-request', `The filter cannot be used: at character ${at + 1} it ${detail}.`, {
    errors: [{pointer: '/filter', detail, character: at + 1}],
  });
};

/** The tree of a filter; undefined for an empty one. @throws AppError `bad-request` that says at which character. */
export const parseFilter = (text: string, maxLength = MAX_LENGTH): FilterNode | undefined => {
  if (text.length > maxLength) return refuseFilter(`goes on after ${maxLength} characters`, maxLength);
  let at = 0;
  let valueCount = 0;

  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const takeMark = (mark: string): boolean => {
    take(SPACE);
    if (!text.startsWith(mark, at)) return false;
    at += mark.length;
    return true;
  };
  const expected = (what: string): never => {
    const found = at < text.length ? `has "${text.slice(at, at + 20)}"` : 'ends';
    return refuseFilter(`${found} where ${what} is expected`, at);
  };

  const unquoted = (found: string, begin: number): string => {
    if (found.startsWith("'")) return found.slice(1, -1).replace(/\\(.)/gs, '$1');
    try {
      return String(JSON.parse(found));
    } catch {
      return refuseFilter('has a string that is not written as JSON', begin);
    }
  };
  /** Every text that people choose. */
  const chosen = (what: string): {readonly text: string; readonly isQuoted: boolean} => {
    const begin = at;
    const inQuotes = take(QUOTED);
    const found = inQuotes === undefined ? (take(BARE) ?? expected(what)) : unquoted(inQuotes, begin);
    if (!isStorableText(found)) refuseFilter('has a NUL character, or half of a character', begin);
    return {text: found, isQuoted: inQuotes !== undefined};
  };
  const value = (): FilterValue => {
    take(SPACE);
    const begin = at;
    const {text: found, isQuoted} = chosen('a value, or one in quotes,');
    const isPrefix = !isQuoted && found.endsWith('*');
    const shown = isPrefix ? found.slice(0, -1) : found;
    if (!isQuoted && shown.includes('*'))
      refuseFilter('has a * that is not at the end of its value', begin + found.indexOf('*'));
    return {text: shown, isPrefix, at: begin};
  };
  const counted = (found: readonly FilterValue[]): readonly FilterValue[] => {
    for (const one of found) {
      valueCount++;
      if (valueCount > MAX_VALUES) refuseFilter(`has more than ${MAX_VALUES} values`, one.at);
    }
    return found;
  };
  const values = (): readonly FilterValue[] => {
    if (!takeMark('(')) expected('( and a list of values');
    const found = new Map<string, FilterValue>();
    do {
      const one = value();
      const key = `${one.isPrefix ? '*' : '='}${one.text}`;
      if (!found.has(key)) found.set(key, one);
    } while (takeMark(','));
    if (!takeMark(')')) expected(', or )');
    return [...found.values()];
  };
  const comparison = (): Comparison => {
    take(SPACE);
    const begin = at;
    const field = take(FIELD) ?? expected('a field');
    const key = takeMark('.') ? chosen('a key').text : undefined;
    take(SPACE);
    const operatorAt = at;
    const name = take(OPERATOR) ?? expected('an operator such as ==');
    if (!Object.hasOwn(OPERATORS, name)) refuseFilter(`has no operator ${name}`, operatorAt);
    const {operator, isList} = OPERATORS[name] ?? expected('an operator');
    return {kind: 'comparison', field, key, operator, values: counted(isList ? values() : [value()]), at: begin};
  };
  const term = (depth: number): FilterNode => {
    take(SPACE);
    const begin = at;
    if (!takeMark('(')) return comparison();
    if (depth === MAX_DEPTH) refuseFilter(`has parentheses more than ${MAX_DEPTH} deep`, begin);
    const inner = joined('or', depth + 1);
    if (!takeMark(')')) expected('; or , or )');
    return inner;
  };
  const joined = (kind: 'and' | 'or', depth: number): FilterNode => {
    take(SPACE);
    const begin = at;
    const next = (): FilterNode => (kind === 'or' ? joined('and', depth) : term(depth));
    const nodes = [next()];
    while (takeMark(kind === 'or' ? ',' : ';')) nodes.push(next());
    const [only, second] = nodes;
    return only !== undefined && second === undefined ? only : {kind, nodes, at: begin};
  };

  if (text.trim() === '') return undefined;
  const filter = joined('or', 0);
  take(SPACE);
  if (at < text.length) expected('; or , or the end');
  return filter;
};

/** What says the same to {@link parseFilter} in as few characters as that takes, so filters that say the same are written the same. */
export const writeFilter = (node: FilterNode): string => {
  if (node.kind === 'comparison') {
    const {field, key, operator, values} = node;
    const [only, second] = values;
    const compared = `${field}${key === undefined ? '' : `.${writeText(key)}`}`;
    if (only !== undefined && second === undefined) return `${compared}${operator}${writeValue(only)}`;
    return `${compared}${operator === '!=' ? '=out=' : '=in='}(${values.map(writeValue).join(',')})`;
  }
  // An "and" within an "or" needs no parentheses, as it binds closer.
  const isPlain = ({kind}: FilterNode): boolean => kind === 'comparison' || (kind === 'and' && node.kind === 'or');
  return node.nodes
    .map((one) => (isPlain(one) ? writeFilter(one) : `(${writeFilter(one)})`))
    .join(node.kind === 'and' ? ';' : ',');
};

const writeText = (text: string): string => (/^[\w.:+-]+$/.test(text) ? text : JSON.stringify(text));
const writeValue = ({text, isPrefix}: FilterValue): string => (isPrefix ? `${text}*` : writeText(text));

/** The filter with other names for the groups that it asks for. */
export const withGroups = (node: FilterNode, nameOf: (group: string, at: number) => string): FilterNode => {
  if (node.kind !== 'comparison') return {...node, nodes: node.nodes.map((one) => withGroups(one, nameOf))};
  if (node.field !== 'group') return node;
  return {...node, values: node.values.map((value) => ({...value, text: nameOf(value.text, value.at)}))};
};

/** How many values all its conditions have together. */
export const valuesIn = (node: FilterNode): number =>
  node.kind === 'comparison' ? node.values.length : node.nodes.reduce((sum, one) => sum + valuesIn(one), 0);

/** The same text for filters that say the same in the same order, however they were written. */
export const canonicalFilter = (node: FilterNode | undefined): string =>
  JSON.stringify(node ?? null, (name, value: unknown) => (name === 'at' ? undefined : value));

/**
 * JSON whose numbers are stored as they were sent. JSON.parse makes IEEE doubles: 9007199254740993 becomes ...992 and 1e400
 * becomes Infinity, which is written as null. RFC 7493 (I-JSON), section 2.2, asks for text instead of such numbers.
 */
import {countMembers} from './equal-names.ts';
import {pointerStep} from './pointer.ts';
import type {JsonScan} from './scan.ts';

/** A number whose value a double does not hold. It stands where the number stood, and JSON.stringify writes it as it was sent. */
type RawNumber = Readonly<Record<'rawJSON', string>>;

/** What ES2026 has and TypeScript's library not yet: https://tc39.es/proposal-json-parse-with-source/ */
interface RawJson {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
}

// Every Node from 22 on has both; the tests call them.
const json = JSON as unknown as RawJson;

/**
 * What every such number matches: 16 digits, as 2^53 has, or an exponent of three. Fractions have more than 16 digits often; those after a
 * point do not match. And texts, so that what looks like a number inside of one is passed over.
 */
const TEXT_OR_LONG_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|(?<=^|[:,[\s])-?(?:\d{16}|\d+(?:\.\d+)?[eE]\+?\d{3})[\d.eE+-]*/g;
const INTEGER = /^-?\d+$/;

export const isRawNumber = (value: unknown): boolean => json.isRawJSON(value);

export interface ExactJson {
  readonly value: unknown;
  /** Whether the value has raw numbers. */
  readonly hasRaw: boolean;
  /** Whether some object has two members of one name, of which the value has the last: see findEqualNames. */
  readonly hasEqualNames: boolean;
}

/** @param scan of its bytes. @throws SyntaxError */
export const parseExactJson = (
  text: string,
  {hasLongInteger, hasExponent, members}: Pick<JsonScan, 'hasLongInteger' | 'hasExponent' | 'members'>,
): ExactJson => {
  const value: unknown = JSON.parse(text);
  const hasEqualNames = countMembers(value) !== members;
  if (!hasLongInteger && !hasExponent) return {value, hasRaw: false, hasEqualNames};
  // JSON.parse's reviver knows sources too, but calls back for every value: half a second for a megabyte of small ones.
  const quoted = text.replace(TEXT_OR_LONG_NUMBER, (token) => {
    return token.startsWith('"') || isKept(Number(token), token) ? token : `"${token}"`;
  });
  return quoted === text
    ? {value, hasRaw: false, hasEqualNames}
    : {value: withRaw(value, JSON.parse(quoted)), hasRaw: true, hasEqualNames};
};

/** The value with a raw number wherever its twin, which is equal otherwise, has a text for a number. */
const withRaw = (value: unknown, twin: unknown): unknown => {
  if (typeof value === 'number') return typeof twin === 'string' ? json.rawJSON(twin) : value;
  if (typeof value !== 'object' || value === null) return value;
  // Both come from one text, so they have the same shape.
  if (Array.isArray(value)) {
    const twins = twin as readonly unknown[];
    return value.map((inner, index) => withRaw(inner, twins[index]));
  }
  const inside = value as Record<string, unknown>;
  const twins = twin as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(inside)) inside[key] = withRaw(inside[key], twins[key]);
  return value;
};

/**
 * Whether the number is stored as it was sent. Fractions are: they are doubles by contract. An integer beyond 2^53 must come out
 * digit by digit, because the database keeps the text: 2^64 is a double, but JSON.stringify writes it as 18446744073709552000.
 */
const isKept = (value: number, source: string): boolean =>
  Number.isSafeInteger(value) || (INTEGER.test(source) ? String(value) === source : Number.isFinite(value));

/** The first raw number of a parsed value: its JSON pointer (RFC 6901), and its digits. */
export const findRawNumber = (
  value: unknown,
  pointer = '',
): {readonly pointer: string; readonly source: string} | undefined => {
  if (json.isRawJSON(value)) return {pointer, source: value.rawJSON};
  if (typeof value !== 'object' || value === null) return undefined;
  // An array has no keys made for it: it may be long.
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value);
  for (const key of keys) {
    const inner = (value as Readonly<Record<string | number, unknown>>)[key];
    if (typeof inner !== 'object') continue;
    const found = findRawNumber(inner, pointer + pointerStep(key));
    if (found !== undefined) return found;
  }
  return undefined;
};

/**
 * JSON whose numbers are stored as they were sent. JSON.parse makes IEEE doubles: 9007199254740993 becomes ...992 and 1e400
 * becomes Infinity, which is written as null. RFC 7493 (I-JSON), section 2.2, asks for text instead of such numbers.
 */

/** A number whose value a double does not hold. It stands where the number stood, and JSON.stringify writes it as it was sent. */
type RawNumber = Readonly<Record<'rawJSON', string>>;

/** What ES2026 has and TypeScript's library not yet: https://tc39.es/proposal-json-parse-with-source/ */
interface JsonWithSource {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: {readonly source?: string | undefined}) => unknown,
  ): unknown;
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
}

// Every Node from 22 on has the three; the tests call them all.
const json = JSON as unknown as JsonWithSource;

/**
 * What every such number matches, outside of text: 16 digits, as 2^53 has, or an exponent of three. Fractions have more than 16 digits
 * often; those after a point do not match.
 */
const LONG_NUMBER = /(?:^|[:,[\s])-?(?:\d{16}|\d+(?:\.\d+)?[eE]\+?\d{3})/;
const INTEGER = /^-?\d+$/;

export interface ExactJson {
  readonly value: unknown;
  /** Whether the value has raw numbers. */
  readonly hasRaw: boolean;
}

/** @throws SyntaxError */
export const parseExactJson = (text: string): ExactJson => {
  if (!LONG_NUMBER.test(text)) return {value: JSON.parse(text), hasRaw: false};
  let hasRaw = false;
  const value = json.parse(text, (_key, inner, {source}) => {
    if (typeof inner !== 'number' || source === undefined || isKept(inner, source)) return inner;
    hasRaw = true;
    return json.rawJSON(source);
  });
  return {value, hasRaw};
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
  for (const [key, inner] of Object.entries(value)) {
    const found = findRawNumber(inner, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    if (found !== undefined) return found;
  }
  return undefined;
};

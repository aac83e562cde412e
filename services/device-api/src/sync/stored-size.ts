/**
 * How large a parsed JSON value is where it is read: as the text that PostgreSQL makes of its jsonb. That is what a page of the admin API
 * holds, and it may be fifty times what was sent: jsonb has no exponents, so `1e308` comes back as 309 digits.
 */
import type {JsonScan} from '@pisync/core/json/scan';

/**
 * A quick look: no value in the body is larger. Without an exponent a byte becomes at most three, as one does that is no UTF-8.
 */
export const storedAtMost = (sentBytes: number, {hasExponent}: Pick<JsonScan, 'hasExponent'>): number =>
  hasExponent ? Infinity : sentBytes * 3;

/** Bytes of UTF-8. Follows nesting, so that must be bounded. */
export const storedSize = (value: unknown): number => {
  if (typeof value === 'number') return numberSize(String(value));
  if (typeof value === 'string') return textSize(value);
  if (typeof value !== 'object' || value === null) return String(value).length;
  let size = 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const inner of value as readonly unknown[]) size += storedSize(inner);
    members = value.length;
  } else {
    for (const [key, inner] of Object.entries(value)) {
      size += textSize(key) + COLON + storedSize(inner);
      members += 1;
    }
  }
  return size + BRACKETS + COMMA * Math.max(0, members - 1);
};

const BRACKETS = '{}'.length;
const COMMA = ', '.length;
const COLON = ': '.length;

/** PostgreSQL escapes what JSON.stringify escapes. */
const textSize = (text: string): number => Buffer.byteLength(JSON.stringify(text));

const NUMBER = /^(-?)\d+(?:\.(\d+))?(?:e([+-]\d+))?$/;

/** Of a number as JavaScript writes it. It has an exponent from 1e21 on, where all of the fraction's digits stand before the point, and below 1e-6. */
const numberSize = (text: string): number => {
  const [, sign = '', fraction = '', exponent] = NUMBER.exec(text) ?? [];
  if (exponent === undefined) return text.length;
  const shift = Number(exponent);
  return sign.length + (shift > 0 ? 1 + shift : '0.'.length - shift + fraction.length);
};

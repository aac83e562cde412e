import {isStorable} from '@pisync/core/json/storable';

/** JSON.stringify writes what cannot be stored as these escapes; a text that spells out a backslash and "u0000" also matches. */
const SUSPICIOUS = /\\u(?:0000|d[89a-f])/;

/** The value as JSON text, or undefined when jsonb would refuse it. */
export const storableJson = (value: unknown): string | undefined => {
  // Only undefined and functions have no JSON, and a parsed body holds neither.
  const text = JSON.stringify(value);
  return SUSPICIOUS.test(text) && !isStorable(value) ? undefined : text;
};

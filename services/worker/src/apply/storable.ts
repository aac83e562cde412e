/**
 * What PostgreSQL's text and jsonb refuse although JSON allows it: the character NUL, and halves of surrogate pairs, which
 * are no characters.
 */

export const isStorableText = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** JSON.stringify writes exactly these two as escapes; a text that spells out a backslash and "u0000" also matches. */
const SUSPICIOUS = /\\u(?:0000|d[89a-f])/;

/** The value as JSON text, or undefined when jsonb would refuse it. */
export const storableJson = (value: unknown): string | undefined => {
  // Only undefined and functions have no JSON, and a parsed body holds neither.
  const text = JSON.stringify(value);
  return SUSPICIOUS.test(text) && !isStorable(value) ? undefined : text;
};

const isStorable = (value: unknown): boolean => {
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => isStorableText(key) && isStorable(inner));
};

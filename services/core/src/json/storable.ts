/**
 * What PostgreSQL's text and jsonb refuse although JSON allows it: the character NUL, and halves of surrogate pairs, which are no characters. The edge
 * and the worker have to agree on it: what the one accepts the other must be able to store.
 */

export const isStorableText = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Whether every text and key of a parsed value can be stored. */
export const isStorable = (value: unknown): boolean => {
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => isStorableText(key) && isStorable(inner));
};

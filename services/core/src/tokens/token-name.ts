/** Of the API token that is in the Secret. */
export const BOOTSTRAP_NAME = 'bootstrap';

/** In characters. */
export const MAX_NAME_LENGTH = 64;

/** The same as in the schema, which refuses it in names of groups too. */
const UNSEEN = /[\u0001-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/**
 * People go by the name of a token when they look for who made another one: it is read in a line, and is no other token's that is known. The schema refuses the
 * same names.
 * @returns what is wrong with it
 */
export const tokenNameFault = (name: string): string | undefined => {
  if (UNSEEN.test(name)) return 'has a character that is not seen';
  if (name.normalize('NFKC').toLowerCase() === BOOTSTRAP_NAME) return 'is the name of the token in the Secret';
  return undefined;
};

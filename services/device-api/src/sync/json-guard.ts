/** What JSON allows and PostgreSQL does not (core's json/storable.ts): JSON can only write it as escapes. */
const SUSPICIOUS = /\\u(?:0000|[dD][89a-fA-F])/;

/** True when the text may hold something that cannot be stored; false is certain. */
export const mayBeUnstorable = (json: string): boolean => SUSPICIOUS.test(json);

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE, COMMA] = Buffer.from('"\\[]{},');

/**
 * About how many values a text has, or undefined where arrays and objects are nested deeper than `maxDepth`. Without parsing: recursive code behind this
 * (JSON.stringify, jsonb) has a stack, and a megabyte of "[" would overflow it.
 */
export const countValues = (json: Buffer, maxDepth: number): number | undefined => {
  let depth = 0;
  let values = 1;
  let inText = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inText) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      depth += 1;
      // Its first one; those after it have commas.
      values += 1;
      if (depth > maxDepth) return undefined;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth -= 1;
    else if (byte === COMMA) values += 1;
  }
  return values;
};

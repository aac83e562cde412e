/** What one walk over the bytes of a JSON text shows. It parses nothing, so it is cheap, has no stack, and of a text that is no JSON it says something as well. */
export interface JsonScan {
  /** About how many values there are. */
  readonly values: number;
  /** How many members all objects have. */
  readonly members: number;
  /** How deep arrays and objects are nested. */
  readonly depth: number;
  /** A number has 16 digits before its point, as 2^53 has. */
  readonly hasLongInteger: boolean;
  readonly hasExponent: boolean;
  /** A text has `\u`. */
  readonly hasUnicodeEscape: boolean;
}

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE, COMMA, COLON, POINT, LOWER_E, LOWER_U] =
  Buffer.from('"\\[]{},:.eu');
const [ZERO = 0, NINE = 0] = Buffer.from('09');
const LOWER_CASE = 0x20;
const LONG = 16;

export const scanJson = (json: Buffer): JsonScan => {
  let depth = 0;
  let deepest = 0;
  let values = 1;
  let members = 0;
  let hasLongInteger = false;
  let hasExponent = false;
  let hasUnicodeEscape = false;
  const afterDigits = (from: number): number => {
    let at = from;
    for (let byte = json[at]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = json[at]) at += 1;
    return at;
  };
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0;
    if (byte === QUOTE) {
      for (at += 1; at < json.length && json[at] !== QUOTE; at++) {
        if (json[at] !== BACKSLASH) continue;
        at += 1;
        if (json[at] === LOWER_U) hasUnicodeEscape = true;
      }
    } else if (byte >= ZERO && byte <= NINE) {
      let end = afterDigits(at);
      if (end - at >= LONG) hasLongInteger = true;
      if (json[end] === POINT) end = afterDigits(end + 1);
      if (((json[end] ?? 0) | LOWER_CASE) === LOWER_E) hasExponent = true;
      at = end - 1;
    } else if (byte === COMMA) values += 1;
    else if (byte === COLON) members += 1;
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      depth += 1;
      // Its first one; those after it have commas.
      values += 1;
      if (depth > deepest) deepest = depth;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth -= 1;
  }
  return {values, members, depth: deepest, hasLongInteger, hasExponent, hasUnicodeEscape};
};

/** Characters that set the direction of what comes after them, and are not seen themselves (Unicode TR9, table 4). */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** JSON of a device's value, with no character that turns round what is read beside it: such a one is written as its escape. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(
    BIDI_CONTROL,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

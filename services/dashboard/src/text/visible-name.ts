/** Anything that leaves a mark: no control or format character, no kind of space, nothing that fonts draw as nothing. */
const MARK = /[^\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u;

/** The name as it can be seen and clicked; `instead` where there is none, or it shows as nothing. */
export const visibleName = (name: string | null | undefined, instead: string): string =>
  name !== null && name !== undefined && MARK.test(name) ? name : instead;

/** A group has no other name: what it is called is written out, character by character. */
export const visibleGroup = (name: string): string =>
  visibleName(
    name,
    `(${name === '' ? 'empty name' : Array.from(name, (char) => `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`).join(' ')})`,
  );

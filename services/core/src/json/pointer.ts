/** One step of a JSON pointer (RFC 6901), with its slash. */
export const pointerStep = (key: PropertyKey): string => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

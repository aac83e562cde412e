/**
 * Times that people give, as everything here can hold and write them: in years 1 to 9999 of UTC, whatever their offset. PostgreSQL reads no year 0, and RFC 3339 writes
 * none with five digits.
 */
const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** @param atMs milliseconds since 1970; NaN is none */
export const isStorableInstant = (atMs: number): boolean => atMs >= FIRST_MS && atMs <= LAST_MS;

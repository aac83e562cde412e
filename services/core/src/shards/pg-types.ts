import pg from 'pg';
import {JsonText} from '../json/json-text.ts';

/** Type oids of PostgreSQL's catalogue (pg_type.dat) whose text form we read differently from node-postgres. */
const INT8 = 20;
const DATE = 1082;
const JSON_OID = 114;
const JSONB = 3802;

const safeInteger = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the bigint ${text} does not fit a JavaScript number`);
  return value;
};

type Oid = Parameters<typeof pg.types.getTypeParser>[0];

// An enum of known oids for the compiler; at run time any number, which is what the casts say.
const read = (oid: Oid, format?: string): unknown => {
  if (format === 'binary') return pg.types.getTypeParser(oid, 'binary');
  if ((oid as number) === INT8) return safeInteger;
  if ((oid as number) === DATE) return (text: string) => text;
  return pg.types.getTypeParser(oid, 'text');
};

/**
 * bigint becomes a number (keys and counters stay far below 2^53; anything else throws) and date stays `YYYY-MM-DD`,
 * because a day has no time zone to convert it with.
 */
// The library declares the parser as a set of overloads over an enum of oids, which no function of ours can spell; `read`
// takes and returns the same values.
export const PG_TYPES: pg.CustomTypesConfig = {getTypeParser: read as typeof pg.types.getTypeParser};

const readUnparsed = (oid: Oid, format?: string): unknown =>
  (oid as number) === JSON_OID || (oid as number) === JSONB ? (text: string) => new JsonText(text) : read(oid, format);

/** {@link PG_TYPES} for pages of rows that devices fill: their JSON is not parsed. */
export const PAGE_TYPES: pg.CustomTypesConfig = {getTypeParser: readUnparsed as typeof pg.types.getTypeParser};
